// Programs for the AWS SDK for JavaScript v2, written as for AWS: `node v2.mjs CASE` fails when an assertion does.
// Region and credentials come from the environment; this SDK reads no endpoint there.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";

import AWS from "aws-sdk";

import { faces, users, video } from "./cases.mjs";

const endpoint = process.env.AWS_ENDPOINT_URL_REKOGNITION;
const picture = (name) => readFile(new URL(`../../../openrek/pictures/${name}.jpg`, import.meta.url));

// All pages of a request, with the SDK's own pagination, which is by callback.
const pagesOf = (request) =>
  new Promise((resolve, reject) => {
    const pages = [];
    request.eachPage((error, page) => {
      if (error) reject(error);
      else if (page) pages.push(page);
      else resolve(pages);
      return true;
    });
  });

// An operation by name, as both versions have it.
const call = (operation, parameters) => new AWS.Rekognition({ endpoint })[operation](parameters).promise();

const cases = {
  async life() {
    const rekognition = new AWS.Rekognition({ endpoint });
    const collection = { CollectionId: `v2-${randomUUID()}` };
    const collins = { Bytes: await picture("eileen_collins") };
    const hopper = { Bytes: await picture("grace_hopper") };

    const created = await rekognition.createCollection({ ...collection, Tags: { team: "door" } }).promise();
    assert.equal(created.StatusCode, 200);
    assert.ok(created.CollectionArn.endsWith(`:collection/${collection.CollectionId}`));

    const indexed = await rekognition
      .indexFaces({ ...collection, Image: collins, ExternalImageId: "collins" })
      .promise();
    const { FaceId: id } = indexed.FaceRecords[0].Face;
    await rekognition.indexFaces({ ...collection, Image: hopper, ExternalImageId: "hopper" }).promise();

    const described = await rekognition.describeCollection(collection).promise();
    assert.equal(described.FaceCount, 2);
    assert.ok(Math.abs(described.CreationTimestamp - Date.now()) < 600_000, `${described.CreationTimestamp}`);

    const found = await rekognition.searchFacesByImage({ ...collection, Image: collins }).promise();
    assert.deepEqual(found.FaceMatches.map(({ Face }) => [Face.FaceId, Face.ExternalImageId]), [[id, "collins"]]);
    assert.ok(found.FaceMatches[0].Similarity > 99);
    const like = await rekognition.searchFaces({ ...collection, FaceId: id, FaceMatchThreshold: 0 }).promise();
    assert.deepEqual(like.FaceMatches.map(({ Face }) => Face.ExternalImageId), ["hopper"]);

    const deleted = await rekognition.deleteFaces({ ...collection, FaceIds: [id] }).promise();
    assert.deepEqual(deleted.DeletedFaces, [id]);
    assert.equal((await rekognition.deleteCollection(collection).promise()).StatusCode, 200);
    await assert.rejects(rekognition.describeCollection(collection).promise(), { code: "ResourceNotFoundException" });
  },

  users: () => users(call, picture),
  faces: () => faces(call, picture),
  video: () => video(call),

  async paging() {
    const rekognition = new AWS.Rekognition({ endpoint });
    const stem = `v2-${randomUUID()}`;
    const names = ["a", "b", "c"].map((letter) => `${stem}-${letter}`);
    for (const name of names) await rekognition.createCollection({ CollectionId: name }).promise();
    const pages = await pagesOf(rekognition.listCollections({ MaxResults: 1 }));
    assert.ok(pages.every((page) => page.CollectionIds.length <= 1));
    const listed = pages.flatMap((page) => page.CollectionIds);
    assert.deepEqual(listed.filter((name) => name.startsWith(stem)), names);

    const Image = { Bytes: await picture("eileen_collins") };
    const ids = [];
    for (const ExternalImageId of ["1", "2", "3", "4", "5"]) {
      const { FaceRecords } = await rekognition
        .indexFaces({ CollectionId: names[0], Image, ExternalImageId })
        .promise();
      ids.push(FaceRecords[0].Face.FaceId);
    }
    const faces = await pagesOf(rekognition.listFaces({ CollectionId: names[0], MaxResults: 2 }));
    assert.deepEqual(
      faces.map((page) => page.Faces.map((face) => face.FaceId)),
      [ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)],
    );
    for (const name of names) await rekognition.deleteCollection({ CollectionId: name }).promise();
  },

  async text() {
    const rekognition = new AWS.Rekognition({ endpoint });
    const Image = { Bytes: await readFile(process.env.PICTURE) };
    const { TextDetections: found, TextModelVersion } = await rekognition.detectText({ Image }).promise();
    assert.equal(TextModelVersion, "3.0");
    const lines = found.filter(({ Type }) => Type === "LINE");
    const words = found.filter(({ Type }) => Type === "WORD");
    assert.deepEqual(found, [...lines, ...words]);
    assert.deepEqual(lines.map(({ DetectedText }) => DetectedText), ["NORTH GATE", "Closed", "Mind the step"]);
    assert.ok(lines.every((line) => !("ParentId" in line)));
    assert.deepEqual(
      words.map(({ DetectedText, ParentId }) => [DetectedText, ParentId]),
      [["NORTH", 0], ["GATE", 0], ["Closed", 1], ["Mind", 2], ["the", 2], ["step", 2]],
    );
    assert.ok(found.every(({ Geometry }) => Geometry.Polygon.length === 4 && Geometry.BoundingBox.Width > 0));
    const RegionsOfInterest = [{ BoundingBox: { Left: 0, Top: 0.5, Width: 1, Height: 0.5 } }];
    const below = await rekognition.detectText({ Image, Filters: { RegionsOfInterest } }).promise();
    assert.deepEqual(
      below.TextDetections.map(({ Type, DetectedText }) => [Type, DetectedText]),
      [["LINE", "Mind the step"], ["WORD", "Mind"], ["WORD", "the"], ["WORD", "step"]],
    );
    const wrong = { RegionsOfInterest: [{ Polygon: [{ X: 0, Y: 0 }, { X: 1, Y: 1 }] }] };
    await assert.rejects(rekognition.detectText({ Image, Filters: wrong }).promise(), {
      code: "InvalidParameterException",
    });
  },

  async labels() {
    const rekognition = new AWS.Rekognition({ endpoint });
    const Image = { Bytes: await picture("eileen_collins") };
    const Features = ["GENERAL_LABELS", "IMAGE_PROPERTIES"];
    const found = await rekognition.detectLabels({ Image, Features }).promise();
    const names = found.Labels.map(({ Name }) => Name);
    assert.ok(["Person", "Woman", "Face"].every((name) => names.includes(name)), names.join());
    for (const { Confidence, Parents, Categories, Instances } of found.Labels) {
      assert.ok(Confidence >= 55 && Confidence <= 100);
      assert.ok(Parents.every(({ Name }) => names.includes(Name)));
      assert.equal(Categories.length, 1);
      for (const { BoundingBox } of Instances) assert.ok(BoundingBox.Width > 0 && BoundingBox.Width <= 1);
    }
    assert.equal(found.LabelModelVersion, "3.0");
    assert.match(found.ImageProperties.DominantColors[0].HexCode, /^#[0-9a-f]{6}$/);
    const Settings = { GeneralLabels: { LabelInclusionFilters: ["Woman"] } };
    const only = await rekognition.detectLabels({ Image, MaxLabels: 5, Settings }).promise();
    assert.deepEqual(only.Labels.map(({ Name }) => Name), ["Woman"]);
  },

  async equipment() {
    const rekognition = new AWS.Rekognition({ endpoint });
    const Image = { Bytes: await picture("grace_hopper") };
    const SummarizationAttributes = { MinConfidence: 60, RequiredEquipmentTypes: ["HEAD_COVER"] };
    const request = { Image, SummarizationAttributes };
    const { Persons, Summary, ProtectiveEquipmentModelVersion } = await rekognition
      .detectProtectiveEquipment(request)
      .promise();
    assert.equal(ProtectiveEquipmentModelVersion, "1.0");
    assert.deepEqual(Persons.map(({ Id }) => Id), [0]);
    const head = Persons[0].BodyParts.find(({ Name }) => Name === "HEAD");
    assert.ok(head.Confidence > 60);
    assert.deepEqual(head.EquipmentDetections, []);
    assert.deepEqual(Summary.PersonsWithoutRequiredEquipment, [0]);
    assert.deepEqual([...Summary.PersonsWithRequiredEquipment, ...Summary.PersonsIndeterminate], []);
    const noPicture = rekognition.detectProtectiveEquipment({ Image: { Bytes: Buffer.from("none") } }).promise();
    await assert.rejects(noPicture, { code: "InvalidImageFormatException" });
  },

  async errors() {
    const rekognition = new AWS.Rekognition({ endpoint });
    const collection = { CollectionId: `v2-${randomUUID()}` };
    await assert.rejects(rekognition.describeCollection(collection).promise(), (error) => {
      assert.equal(error.code, "ResourceNotFoundException");
      assert.equal(error.message, `Collection:${collection.CollectionId} not found!`);
      assert.equal(error.statusCode, 400);
      assert.equal(error.retryable, false);
      assert.match(error.requestId, /^[0-9a-f-]{36}$/);
      return true;
    });
    await rekognition.createCollection(collection).promise();
    await assert.rejects(rekognition.createCollection(collection).promise(), {
      code: "ResourceAlreadyExistsException",
    });
    const noPicture = { ...collection, Image: { Bytes: Buffer.from("no picture") } };
    await assert.rejects(rekognition.indexFaces(noPicture).promise(), { code: "InvalidImageFormatException" });
    await rekognition.deleteCollection(collection).promise();
    const noName = rekognition.createCollection({ CollectionId: "not a name" }).promise();
    await assert.rejects(noName, { code: "ValidationException", message: /collectionId/ });
    const stranger = new AWS.Rekognition({ endpoint, credentials: new AWS.Credentials("AKIAUNKNOWN", "x") });
    await assert.rejects(stranger.listCollections().promise(), { code: "UnrecognizedClientException" });
  },

  async celebrities() {
    const rekognition = new AWS.Rekognition({ endpoint });
    const collins = { Bytes: await picture("eileen_collins") };
    const known = await rekognition.recognizeCelebrities({ Image: collins }).promise();
    assert.equal(known.UnrecognizedFaces.length, 0);
    const [{ Id, Name, Urls, KnownGender, MatchConfidence, Face }] = known.CelebrityFaces;
    assert.equal(Name, "Eileen Collins");
    assert.ok(MatchConfidence > 99 && Face.Confidence > 99 && Face.Smile.Value && Face.Emotions[0].Type === "HAPPY");
    const info = await rekognition.getCelebrityInfo({ Id }).promise();
    assert.deepEqual(info, { Name, Urls, KnownGender });
    assert.deepEqual([Urls, KnownGender], [["www.example.org/collins"], { Type: "Female" }]);

    const hopper = { Bytes: await picture("grace_hopper") };
    const unknown = await rekognition.recognizeCelebrities({ Image: hopper }).promise();
    assert.deepEqual([unknown.CelebrityFaces.length, unknown.UnrecognizedFaces.length], [0, 1]);
    await assert.rejects(rekognition.getCelebrityInfo({ Id: "absent" }).promise(), {
      code: "ResourceNotFoundException",
    });
  },

  async moderation() {
    const rekognition = new AWS.Rekognition({ endpoint });
    const Image = { Bytes: await picture("grace_hopper") };
    const clean = await rekognition.detectModerationLabels({ Image }).promise();
    assert.deepEqual([clean.ModerationLabels, clean.ContentTypes, clean.ModerationModelVersion], [[], [], "7.0"]);
    const { ModerationLabels } = await rekognition.detectModerationLabels({ Image, MinConfidence: 0 }).promise();
    const names = new Set(ModerationLabels.map(({ Name }) => Name));
    for (const { ParentName, TaxonomyLevel } of ModerationLabels)
      assert.ok(TaxonomyLevel === 1 ? ParentName === "" : names.has(ParentName));
    const config = { HumanLoopName: "review", FlowDefinitionArn: "arn:aws:sagemaker:x" };
    await assert.rejects(rekognition.detectModerationLabels({ Image, HumanLoopConfig: config }).promise(), {
      code: "HumanLoopQuotaExceededException",
    });
  },

  async throttled() {
    const rekognition = new AWS.Rekognition({ endpoint, maxRetries: 0 });
    await assert.rejects(rekognition.listCollections().promise(), (error) => {
      assert.equal(error.code, "ThrottlingException");
      assert.equal(error.statusCode, 500);
      assert.equal(error.retryable, true);
      return true;
    });
  },

  async retried() {
    const answer = await new AWS.Rekognition({ endpoint }).listCollections().promise();
    assert.ok(answer.$response.retryCount > 0);
    assert.ok(Array.isArray(answer.CollectionIds));
  },
};

await cases[process.argv[2]]();
