// Programs that read the same in both versions of the SDK. `call` makes an operation by its name; its errors have the code
// or the name of the service's. `picture` reads one of our photographs.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";

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

export async function video(call) {
  const Video = { S3Object: { Bucket: process.env.BUCKET, Name: process.env.FILM } };
  const { JobId } = await call("startFaceDetection", { Video, FaceAttributes: "ALL", JobTag: "js" });
  assert.match(JobId, /^[0-9a-f]{64}$/);
  let answer;
  do {
    await setTimeout(200);
    answer = await call("getFaceDetection", { JobId });
  } while (answer.JobStatus === "IN_PROGRESS");
  assert.deepEqual([answer.JobStatus, answer.JobTag, answer.Video], ["SUCCEEDED", "js", Video]);
  assert.deepEqual(
    answer.Faces.map(({ Timestamp }) => Timestamp),
    [0, 200, 400, 600, 800, 2000, 2200, 2400, 2600, 2800],
  );
  assert.equal(answer.Faces[0].Face.Gender.Value, "Female");
  const { Codec, FrameRate, FrameWidth, DurationMillis } = answer.VideoMetadata;
  assert.deepEqual([Codec, FrameRate, FrameWidth, DurationMillis], ["h264", 10, 320, 3000]);
  const faces = [];
  let NextToken;
  do {
    const page = await call("getFaceDetection", { JobId, MaxResults: 4, NextToken });
    faces.push(...page.Faces);
    ({ NextToken } = page);
  } while (NextToken);
  assert.deepEqual(faces, answer.Faces);
  await assert.rejects(call("getLabelDetection", { JobId }), named("ResourceNotFoundException"));
  const absent = { S3Object: { ...Video.S3Object, Name: "absent.mp4" } };
  await assert.rejects(call("startLabelDetection", { Video: absent }), named("InvalidS3ObjectException"));
}
