// Programs for the AWS SDK for JavaScript v3, written as for AWS: `node v3.mjs CASE` fails when an assertion does.
// Endpoint, region and credentials come from the environment.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";

import {
  CreateCollectionCommand,
  DeleteCollectionCommand,
  DeleteFacesCommand,
  DescribeCollectionCommand,
  DetectLabelsCommand,
  GetCelebrityInfoCommand,
  DetectModerationLabelsCommand,
  HumanLoopQuotaExceededException,
  DetectTextCommand,
  DetectProtectiveEquipmentCommand,
  IndexFacesCommand,
  InvalidImageFormatException,
  InvalidParameterException,
  ListCollectionsCommand,
  RecognizeCelebritiesCommand,
  Rekognition,
  RekognitionClient,
  RekognitionServiceException,
  ResourceAlreadyExistsException,
  ResourceNotFoundException,
  SearchFacesByImageCommand,
  SearchFacesCommand,
  ThrottlingException,
  paginateListCollections,
  paginateListFaces,
} from "@aws-sdk/client-rekognition";

import { faces, users, video } from "./cases.mjs";

const picture = (name) => readFile(new URL(`../../../openrek/pictures/${name}.jpg`, import.meta.url));

// An operation by name, as both versions have it.
const call = (operation, parameters) => new Rekognition({})[operation](parameters);

const cases = {
  async life() {
    const client = new RekognitionClient({});
    const collection = { CollectionId: `v3-${randomUUID()}` };
    const collins = { Bytes: await picture("eileen_collins") };
    const hopper = { Bytes: await picture("grace_hopper") };

    const created = await client.send(new CreateCollectionCommand({ ...collection, Tags: { team: "door" } }));
    assert.equal(created.StatusCode, 200);
    assert.ok(created.CollectionArn.endsWith(`:collection/${collection.CollectionId}`));

    const indexed = await client.send(
      new IndexFacesCommand({ ...collection, Image: collins, ExternalImageId: "collins" }),
    );
    const { FaceId: id } = indexed.FaceRecords[0].Face;
    await client.send(new IndexFacesCommand({ ...collection, Image: hopper, ExternalImageId: "hopper" }));

    const described = await client.send(new DescribeCollectionCommand(collection));
    assert.equal(described.FaceCount, 2);
    assert.ok(Math.abs(described.CreationTimestamp - Date.now()) < 600_000, `${described.CreationTimestamp}`);

    const found = await client.send(new SearchFacesByImageCommand({ ...collection, Image: collins }));
    assert.deepEqual(found.FaceMatches.map(({ Face }) => [Face.FaceId, Face.ExternalImageId]), [[id, "collins"]]);
    assert.ok(found.FaceMatches[0].Similarity > 99);
    const like = await client.send(new SearchFacesCommand({ ...collection, FaceId: id, FaceMatchThreshold: 0 }));
    assert.deepEqual(like.FaceMatches.map(({ Face }) => Face.ExternalImageId), ["hopper"]);

    const deleted = await client.send(new DeleteFacesCommand({ ...collection, FaceIds: [id] }));
    assert.deepEqual(deleted.DeletedFaces, [id]);
    assert.equal((await client.send(new DeleteCollectionCommand(collection))).StatusCode, 200);
    await assert.rejects(client.send(new DescribeCollectionCommand(collection)), ResourceNotFoundException);
  },

  users: () => users(call, picture),
  faces: () => faces(call, picture),
  video: () => video(call),

  async paging() {
    const client = new RekognitionClient({});
    const stem = `v3-${randomUUID()}`;
    const names = ["a", "b", "c"].map((letter) => `${stem}-${letter}`);
    for (const name of names) await client.send(new CreateCollectionCommand({ CollectionId: name }));
    const listed = [];
    for await (const page of paginateListCollections({ client, pageSize: 1 }, {})) {
      assert.ok(page.CollectionIds.length <= 1);
      listed.push(...page.CollectionIds);
    }
    assert.deepEqual(listed.filter((name) => name.startsWith(stem)), names);

    const Image = { Bytes: await picture("eileen_collins") };
    const ids = [];
    for (const ExternalImageId of ["1", "2", "3", "4", "5"]) {
      const { FaceRecords } = await client.send(
        new IndexFacesCommand({ CollectionId: names[0], Image, ExternalImageId }),
      );
      ids.push(FaceRecords[0].Face.FaceId);
    }
    const pages = [];
    for await (const page of paginateListFaces({ client, pageSize: 2 }, { CollectionId: names[0] })) {
      pages.push(page.Faces.map((face) => face.FaceId));
    }
    assert.deepEqual(pages, [ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
    for (const name of names) await client.send(new DeleteCollectionCommand({ CollectionId: name }));
  },

  async text() {
    const client = new RekognitionClient({});
    const Image = { Bytes: await readFile(process.env.PICTURE) };
    const { TextDetections: found, TextModelVersion } = await client.send(new DetectTextCommand({ Image }));
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
    const below = await client.send(new DetectTextCommand({ Image, Filters: { RegionsOfInterest } }));
    assert.deepEqual(
      below.TextDetections.map(({ Type, DetectedText }) => [Type, DetectedText]),
      [["LINE", "Mind the step"], ["WORD", "Mind"], ["WORD", "the"], ["WORD", "step"]],
    );
    const wrong = { RegionsOfInterest: [{ Polygon: [{ X: 0, Y: 0 }, { X: 1, Y: 1 }] }] };
    await assert.rejects(client.send(new DetectTextCommand({ Image, Filters: wrong })), InvalidParameterException);
  },

  async labels() {
    const client = new RekognitionClient({});
    const Image = { Bytes: await picture("eileen_collins") };
    const Features = ["GENERAL_LABELS", "IMAGE_PROPERTIES"];
    const found = await client.send(new DetectLabelsCommand({ Image, Features }));
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
    const only = await client.send(new DetectLabelsCommand({ Image, MaxLabels: 5, Settings }));
    assert.deepEqual(only.Labels.map(({ Name }) => Name), ["Woman"]);
  },

  async equipment() {
    const client = new RekognitionClient({});
    const Image = { Bytes: await picture("grace_hopper") };
    const SummarizationAttributes = { MinConfidence: 60, RequiredEquipmentTypes: ["HEAD_COVER"] };
    const command = new DetectProtectiveEquipmentCommand({ Image, SummarizationAttributes });
    const { Persons, Summary, ProtectiveEquipmentModelVersion } = await client.send(command);
    assert.equal(ProtectiveEquipmentModelVersion, "1.0");
    assert.deepEqual(Persons.map(({ Id }) => Id), [0]);
    const head = Persons[0].BodyParts.find(({ Name }) => Name === "HEAD");
    assert.ok(head.Confidence > 60);
    assert.deepEqual(head.EquipmentDetections, []);
    assert.deepEqual(Summary.PersonsWithoutRequiredEquipment, [0]);
    assert.deepEqual([...Summary.PersonsWithRequiredEquipment, ...Summary.PersonsIndeterminate], []);
    const noPicture = new DetectProtectiveEquipmentCommand({ Image: { Bytes: Buffer.from("none") } });
    await assert.rejects(client.send(noPicture), InvalidImageFormatException);
  },

  async errors() {
    const client = new RekognitionClient({});
    const collection = { CollectionId: `v3-${randomUUID()}` };
    await assert.rejects(client.send(new DescribeCollectionCommand(collection)), (error) => {
      assert.ok(error instanceof ResourceNotFoundException && error instanceof RekognitionServiceException, error);
      assert.equal(error.name, "ResourceNotFoundException");
      assert.equal(error.message, `Collection:${collection.CollectionId} not found!`);
      assert.equal(error.$fault, "client");
      assert.equal(error.$metadata.httpStatusCode, 400);
      assert.match(error.$metadata.requestId, /^[0-9a-f-]{36}$/);
      assert.equal(error.Code, "ResourceNotFoundException");
      assert.equal(error.Logref, error.$metadata.requestId);
      return true;
    });
    await client.send(new CreateCollectionCommand(collection));
    await assert.rejects(client.send(new CreateCollectionCommand(collection)), ResourceAlreadyExistsException);
    const noPicture = new IndexFacesCommand({ ...collection, Image: { Bytes: Buffer.from("no picture") } });
    await assert.rejects(client.send(noPicture), InvalidImageFormatException);
    await client.send(new DeleteCollectionCommand(collection));
    const noName = new CreateCollectionCommand({ CollectionId: "not a name" });
    await assert.rejects(client.send(noName), { name: "ValidationException", message: /collectionId/ });
    const stranger = new RekognitionClient({ credentials: { accessKeyId: "AKIAUNKNOWN", secretAccessKey: "x" } });
    await assert.rejects(stranger.send(new ListCollectionsCommand({})), { name: "UnrecognizedClientException" });
  },

  async celebrities() {
    const client = new RekognitionClient({});
    const collins = { Bytes: await picture("eileen_collins") };
    const known = await client.send(new RecognizeCelebritiesCommand({ Image: collins }));
    assert.equal(known.UnrecognizedFaces.length, 0);
    const [{ Id, Name, Urls, KnownGender, MatchConfidence, Face }] = known.CelebrityFaces;
    assert.equal(Name, "Eileen Collins");
    assert.ok(MatchConfidence > 99 && Face.Confidence > 99 && Face.Smile.Value && Face.Emotions[0].Type === "HAPPY");
    const { $metadata, ...info } = await client.send(new GetCelebrityInfoCommand({ Id }));
    assert.equal($metadata.httpStatusCode, 200);
    assert.deepEqual(info, { Name, Urls, KnownGender });
    assert.deepEqual([Urls, KnownGender], [["www.example.org/collins"], { Type: "Female" }]);

    const hopper = { Bytes: await picture("grace_hopper") };
    const unknown = await client.send(new RecognizeCelebritiesCommand({ Image: hopper }));
    assert.deepEqual([unknown.CelebrityFaces.length, unknown.UnrecognizedFaces.length], [0, 1]);
    await assert.rejects(client.send(new GetCelebrityInfoCommand({ Id: "absent" })), ResourceNotFoundException);
  },

  async moderation() {
    const client = new RekognitionClient({});
    const Image = { Bytes: await picture("grace_hopper") };
    const clean = await client.send(new DetectModerationLabelsCommand({ Image }));
    assert.deepEqual([clean.ModerationLabels, clean.ContentTypes, clean.ModerationModelVersion], [[], [], "7.0"]);
    const config = { HumanLoopName: "review", FlowDefinitionArn: "arn:aws:sagemaker:x" };
    await assert.rejects(
      client.send(new DetectModerationLabelsCommand({ Image, HumanLoopConfig: config })),
      HumanLoopQuotaExceededException,
    );
  },

  async throttled() {
    const client = new RekognitionClient({ maxAttempts: 1 });
    await assert.rejects(client.send(new ListCollectionsCommand({})), (error) => {
      assert.ok(error instanceof ThrottlingException, error);
      assert.equal(error.$metadata.httpStatusCode, 500);
      return true;
    });
  },

  async retried() {
    const answer = await new RekognitionClient({}).send(new ListCollectionsCommand({}));
    assert.ok(answer.$metadata.attempts > 1);
    assert.ok(Array.isArray(answer.CollectionIds));
  },
};

await cases[process.argv[2]]();
