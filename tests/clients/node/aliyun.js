// Alibaba Cloud's two recording APIs through the vendor's Node clients, unchanged. Prints what came back, as one line
// of JSON for each client; judges nothing. Called as: node aliyun.js '{"host", "key", "secret", "app", "room"}'
'use strict';

const Core = require('@alicloud/pop-core');
const OpenApi = require('@alicloud/openapi-client');
const { default: Util } = require('@alicloud/openapi-util');
const { RuntimeOptions } = require('@alicloud/tea-util');

const given = JSON.parse(process.argv[2]);
const LIVE = '2016-11-01';
const RTC = '2018-01-11';
const PREFIX = 'record/{AppId}/{ChannelId_TaskId}/{EscapedStartTime}_{EscapedEndTime}';
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// What `ask` answers once `good` says so of it, or the last answer after a minute and a half.
async function until(ask, good) {
  let answer = await ask();
  for (let tries = 0; !good(answer) && tries < 180; tries += 1) {
    await sleep(500);
    answer = await ask();
  }
  return answer;
}

// The older core: signature V1; everything in the form of a POST, or in the query of a GET.
function older(secret, method) {
  return (version, action, params) => new Core({
    accessKeyId: given.key, accessKeySecret: secret, endpoint: `http://${given.host}`, apiVersion: version,
  }).request(action, params, { method, timeout: 60000 });
}

// The newer one: ACS3-HMAC-SHA256 in headers; as the vendor's generated clients call it.
function newer(secret) {
  const client = new OpenApi.default(new OpenApi.Config({
    accessKeyId: given.key, accessKeySecret: secret, endpoint: given.host, protocol: 'HTTP', readTimeout: 60000,
  }));
  return async (version, action, params) => {
    const asked = new OpenApi.Params({
      action, version, protocol: 'HTTP', pathname: '/', method: 'POST', authType: 'AK', style: 'RPC',
      reqBodyType: 'formData', bodyType: 'json',
    });
    const request = new OpenApi.OpenApiRequest({ query: Util.query(params) });
    return (await client.callApi(asked, request, new RuntimeOptions({}))).body;
  };
}

async function live(call) {
  const users = JSON.stringify({ SubscribeUserIdList: [{ UserId: 'userA' }] });
  const started = await call(LIVE, 'StartRtcCloudRecording', {
    AppId: given.app,
    ChannelId: given.room,
    SubscribeParams: users,
    RecordParams: JSON.stringify({ RecordMode: 0 }),
    StorageParams: JSON.stringify({
      StorageType: 1,
      OSSParams: { OSSEndpoint: 'oss-cn-shanghai.aliyuncs.com', OSSBucket: 'rec' },
      FileInfo: [{ Format: 'MP4', FilePathPrefix: ['dir 1', '录制*~'] }],
    }),
    NotifyFileUploadedFormat: ['MP4', 'HLS'],
    MaxIdleTime: 60,
  });
  const task = { TaskId: started.TaskId };
  const states = [];
  const info = async () => (await call(LIVE, 'DescribeRtcCloudRecordingFiles', task)).TaskInfo;
  states.push((await info()).Status);
  await sleep(3000);
  const updated = await call(LIVE, 'UpdateRtcCloudRecording', { ...task, SubscribeParams: users });
  const stopped = await call(LIVE, 'StopRtcCloudRecording', task);
  const last = await until(info, (one) => one.Status === 'STOPPED');
  states.push(last.Status);
  return { started, updated, stopped, states, files: last.RecordFileList };
}

async function rtc(call, name) {
  const added = await call(RTC, 'AddRecordTemplate', {
    AppId: given.app, Name: '模板 1', Formats: ['m3u8', 'mp4'], LayoutIds: [1, 2], MediaEncode: 1, TaskProfile: '4IN_360P',
    OssBucket: 'rec', OssFilePrefix: PREFIX, FileSplitInterval: 1800, MnsQueue: `files-${name}`, EnableM3u8DateTime: true,
    Watermarks: [{ Url: 'https://example.com/1.png', X: 0.1, Alpha: 0.5, Display: 0 }],
  });
  const template = { AppId: given.app, TemplateId: added.TemplateId };
  const task = { AppId: given.app, TaskId: `task-${name}` };
  const listed = await call(RTC, 'DescribeRecordTemplates', { AppId: given.app, TemplateIds: [added.TemplateId] });
  const asked = { ...task, ...template, ChannelId: given.room };
  const started = await call(RTC, 'StartRecordTask', { ...asked, MixMode: 1, SubSpecUsers: ['userA'] });
  const mine = () => call(RTC, 'DescribeRecordTasks', { AppId: given.app, TaskIds: [task.TaskId], Status: '1' });
  const recording = await until(mine, (found) => found.TotalNum === 1);
  await sleep(3000);
  const panes = [{ PaneId: 0, UserId: 'userA', SourceType: 'camera' }];
  const updated = await call(RTC, 'UpdateRecordTask', { ...asked, LayoutIds: [2], UserPanes: panes });
  const stopped = await call(RTC, 'StopRecordTask', task);
  const made = () => call(RTC, 'DescribeRecordFiles', { AppId: given.app, TaskIds: [task.TaskId] });
  const files = await until(made, (found) => found.TotalNum === 2);
  const deleted = await call(RTC, 'DeleteRecordTemplate', template);
  return { added, listed, started, recording, updated, stopped, files, deleted };
}

async function refusal(call, action, params) {
  try {
    return await call(LIVE, action, params);
  } catch (error) {
    return { code: error.code, message: error.message };
  }
}

async function run(name, client) {
  const call = client(given.secret);
  const [l, r, wrong, unknown] = await Promise.all([
    live(call),
    rtc(call, name),
    refusal(client('wrong'), 'StopRtcCloudRecording', { TaskId: 'a b*~/中+:,&=%' }),
    refusal(call, 'StopRtcCloudRecording', { TaskId: 'a b*~/中+:,&=%' }),
  ]);
  console.log(JSON.stringify({ name, live: l, rtc: r, wrong, unknown }));
}

Promise.all([
  run('post', (secret) => older(secret, 'POST')),
  run('get', (secret) => older(secret, 'GET')),
  run('v3', newer),
]).catch((error) => {
  console.error(error);
  process.exit(1);
});
