// Programs that read the same in both versions of the SDK. `call` makes an operation by its name; its errors have the code
// or the name of the service's. `picture` reads one of our photographs.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

const named = (name) => (error) => (error.code ?? error.name) === name;

export async function users(call, picture) {
  const collection = { CollectionId: `js-${randomUUID()}` };
  const user = { ...collection, UserId: "eileen" };
  const collins = { Bytes: await picture("eileen_collins") };
  await call("createCollection", collection);
  const ids = [];
  for (const name of ["eileen_collins", "grace_hopper"]) {
    const { FaceRecords } = await call("indexFaces", { ...collection, Image: { Bytes: await picture(name) }, DetectionAttributes: ["ALL"] });
    ids.push(FaceRecords[0].Face.FaceId);
    assert.equal(FaceRecords[0].FaceDetail.Landmarks.length, 30);
  }

  await call("createUser", user);
  await assert.rejects(call("createUser", user), named("ConflictException"));
  const joined = await call("associateFaces", { ...user, FaceIds: [ids[0]] });
  assert.deepEqual(joined.AssociatedFaces, [{ FaceId: ids[0] }]);
  const refused = await call("associateFaces", { ...user, FaceIds: [ids[1]] });
  assert.deepEqual(refused.UnsuccessfulFaceAssociations[0].Reasons, ["LOW_MATCH_CONFIDENCE"]);
  const listed = await call("listUsers", collection);
  assert.deepEqual(listed.Users, [{ UserId: "eileen", UserStatus: "ACTIVE" }]);

  const byImage = await call("searchUsersByImage", { ...collection, Image: collins });
  assert.equal(byImage.UserMatches[0].User.UserId, "eileen");
  assert.equal(byImage.SearchedFace.FaceDetail.Landmarks.length, 5);
  const byFace = await call("searchUsers", { ...collection, FaceId: ids[0] });
  assert.deepEqual([byFace.SearchedFace.FaceId, byFace.UserMatches.length], [ids[0], 1]);
  const byUser = await call("searchUsers", { ...collection, UserId: "eileen" });
  assert.deepEqual([byUser.SearchedUser.UserId, byUser.UserMatches], ["eileen", []]);

  const left = await call("disassociateFaces", { ...user, FaceIds: [ids[0]] });
  assert.deepEqual(left.DisassociatedFaces, [{ FaceId: ids[0] }]);
  await call("deleteUser", user);
  await call("deleteCollection", collection);
}

export async function faces(call, picture) {
  const [collins, hopper] = [{ Bytes: await picture("eileen_collins") }, { Bytes: await picture("grace_hopper") }];
  const { FaceDetails } = await call("detectFaces", { Image: collins, Attributes: ["ALL"] });
  const [face] = FaceDetails;
  assert.deepEqual([FaceDetails.length, face.Landmarks.length, face.Gender.Value], [1, 30, "Female"]);
  assert.ok(face.AgeRange.Low < face.AgeRange.High && face.Smile.Value && face.EyesOpen.Value);
  assert.ok([face.Sunglasses, face.Beard, face.FaceOccluded].every(({ Value }) => Value === false));
  assert.ok(Math.abs(face.EyeDirection.Yaw) < 30 && face.Emotions[0].Type === "HAPPY");
  const compared = { SourceImage: collins, TargetImage: hopper };
  const unlike = await call("compareFaces", compared);
  assert.deepEqual([unlike.FaceMatches.length, unlike.UnmatchedFaces.length], [0, 1]);
  const all = await call("compareFaces", { ...compared, SimilarityThreshold: 0 });
  assert.ok(all.FaceMatches.length === 1 && all.FaceMatches[0].Similarity < 80);
}
