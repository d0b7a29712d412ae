// Tencent's API 3.0 through the vendor's Node client, unchanged: tasks into object storage and VOD, and VOD's own calls.
// Prints what came back as one line of JSON; judges nothing. Called as:
// node tencent.js '{"host", "id", "secret", "app", "room", "sig": {USER: SIG}, "folder"}'
'use strict';

const fs = require('fs');
const path = require('path');
const { Client: Trtc } = require('tencentcloud-sdk-nodejs/tencentcloud/services/trtc/v20190722/trtc_client');
const { Client: Vod } = require('tencentcloud-sdk-nodejs/tencentcloud/services/vod/v20180717/vod_client');

const given = JSON.parse(process.argv[2]);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

function client(Kind, { secret = given.secret, method = 'POST', ...profile } = {}) {
  const httpProfile = { endpoint: given.host, protocol: 'http://', reqMethod: method };
  return new Kind({
    credential: { secretId: given.id, secretKey: secret }, region: 'ap-guangzhou', profile: { ...profile, httpProfile },
  });
}

// What a call is refused with.
async function refused(call) {
  try {
    return { taken: await call };
  } catch (error) {
    return { code: error.code, request: Boolean(error.requestId) };
  }
}

async function until(look) {
  for (;;) {
    const found = await look();
    if (found) return found;
    await sleep(500);
  }
}

const cos = {
  Vendor: 0, Region: 'ap-guangzhou', Bucket: 'b-1', AccessKey: 'ak', SecretKey: 'sk', FileNamePrefix: ['p1', 'p2'],
};
const single = {
  SdkAppId: given.app, RoomId: given.room, UserId: 'robot_1', UserSig: given.sig.robot_1,
  RecordParams: {
    RecordMode: 1, OutputFormat: 1, AvMerge: 1, MaxIdleTime: 60,
    SubscribeStreamUserIds: { SubscribeAudioUserIds: ['teach.*$'], UnSubscribeVideoUserIds: ['bot.*$', 'x'] },
  },
  StorageParams: { CloudStorage: cos },
};
const mixed = {
  SdkAppId: given.app, RoomId: given.room, UserId: 'robot_2', UserSig: given.sig.robot_2, ResourceExpiredHour: 6,
  RecordParams: { RecordMode: 2, MaxIdleTime: 60 },
  StorageParams: { CloudVod: { TencentVod: { MediaType: 3, ExpireTime: 86400, UserDefineRecordId: 'node-1' } } },
  MixTranscodeParams: {
    VideoParams: { Width: 320, Height: 180, Fps: 15, BitRate: 300000, Gop: 2 },
    AudioParams: { SampleRate: 2, Channel: 1, BitRate: 48000 },
  },
  MixLayoutParams: {
    MixLayoutMode: 4, BackGroundColor: '#00FF00', PureAudioDisableLayout: true,
    MixLayoutList: [{ Top: 0, Left: 0, Width: 160, Height: 180, UserId: 'teacher' }],
  },
};

async function main() {
  const post = client(Trtc);
  const get = client(Trtc, { method: 'GET', language: 'en-US' });
  const told = { refusals: {} };
  const one = await post.CreateCloudRecording(single);
  const two = await get.CreateCloudRecording(mixed);
  const first = { SdkAppId: given.app, TaskId: one.TaskId };
  const second = { SdkAppId: given.app, TaskId: two.TaskId };
  told.tasks = [one.TaskId, two.TaskId];
  for (const task of [first, second]) {
    await until(async () => (await get.DescribeCloudRecording(task)).Status === 'InProgress');
  }
  await until(async () => (await post.DescribeCloudRecording(first)).StorageFileList.length);
  told.files = (await post.DescribeCloudRecording(first)).StorageFileList;
  told.modified = [
    await post.ModifyCloudRecording({ ...first, SubscribeStreamUserIds: { SubscribeVideoUserIds: ['teacher'] } }),
    await get.ModifyCloudRecording({ ...second, MixLayoutParams: { MixLayoutMode: 1, PureAudioDisableLayout: false } }),
  ];
  await sleep(2000);
  const ways = {
    sha1: client(Trtc, { signMethod: 'HmacSHA1' }), sha256: client(Trtc, { signMethod: 'HmacSHA256', method: 'GET' }),
  };
  told.refusals.secret = await refused(client(Trtc, { secret: 'wrong' }).DeleteCloudRecording(first));
  told.refusals.range = await refused(post.CreateCloudRecording({ ...single, ResourceExpiredHour: 5 }));
  told.refusals.missing = await refused(post.CreateCloudRecording({ ...single, StorageParams: {} }));
  for (const name of Object.keys(ways)) {
    told.refusals[name] = await refused(ways[name].DescribeCloudRecording({ ...first, TaskId: 'none' }));
  }
  told.deleted = [await ways.sha256.DeleteCloudRecording(first), await ways.sha1.DeleteCloudRecording(second)];
  for (const task of [first, second]) {
    await until(async () => (await refused(post.DescribeCloudRecording(task))).code === 'ResourceNotFound');
  }

  const vod = client(Vod);
  const asked = { NamePrefixes: ['node-1__'], SourceTypes: ['TrtcRecord'], Sort: { Field: 'CreateTime', Order: 'Asc' } };
  const found = await until(async () => {
    const answer = await vod.SearchMedia(asked);
    return answer.TotalCount === 2 && answer;
  });
  const ids = found.MediaInfoSet.map((info) => info.FileId);
  const described = await client(Vod, { method: 'GET' }).DescribeMediaInfos({ FileIds: [...ids, '77'] });
  told.media = described.MediaInfoSet;
  told.absent = described.NotExistFileIdSet;
  for (const info of told.media) {
    const answer = await fetch(info.BasicInfo.MediaUrl);
    fs.writeFileSync(path.join(given.folder, `node.${info.BasicInfo.Type}`), Buffer.from(await answer.arrayBuffer()));
    await vod.DeleteMedia({ FileId: info.FileId });
  }
  told.left = (await vod.SearchMedia(asked)).TotalCount;
  told.refusals.file = await refused(vod.DeleteMedia({ FileId: ids[0] }));
  console.log(JSON.stringify(told));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
