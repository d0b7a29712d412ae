// ZEGO's recording API from Node as its documentation shows it: fetch, MD5 of four values, callbacks checked by SHA-1.
// Says one JSON object: what each call answered, and which callbacks came.
'use strict';
const crypto = require('node:crypto');
const http = require('node:http');

const given = JSON.parse(process.argv[2]);
const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

function GenerateUASignature(appId, signatureNonce, serverSecret, timeStamp) {
  return crypto.createHash('md5').update(appId + signatureNonce + serverSecret + timeStamp).digest('hex');
}

async function call(action, body, { secret = given.secret, get = false } = {}) {
  const signatureNonce = crypto.randomBytes(8).toString('hex');
  const timeStamp = Math.round(Date.now() / 1000);
  const query = new URLSearchParams({
    Action: action,
    AppId: given.app,
    SignatureNonce: signatureNonce,
    Timestamp: timeStamp,
    Signature: GenerateUASignature(given.app, signatureNonce, secret, timeStamp),
    SignatureVersion: '2.0',
    ...(get ? body : {}),
  });
  const headers = { 'Content-Type': 'application/json;charset=utf-8' };
  const request = get ? {} : { method: 'POST', headers, body: JSON.stringify(body) };
  const answer = await fetch(`${given.url}?${query}`, request);
  return answer.json();
}

async function wait(task, until) {
  for (let tries = 0; tries < 120; tries++) {
    const { Data: data } = await call('DescribeRecordStatus', { TaskId: task });
    if (until(data)) return data;
    await sleep(0.5);
  }
  throw new Error(`task ${task} does not get there`);
}

const told = {};
const receiver = http.createServer((request, answer) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const body = JSON.parse(Buffer.concat(parts).toString('utf8'));
    const joined = [given.callbackSecret, body.timestamp, body.nonce].sort().join('');
    const right = crypto.createHash('sha1').update(joined).digest('hex') === body.signature;
    (told[body.task_id] ??= []).push({ right, type: body.event_type, sequence: body.sequence, detail: body.detail });
    answer.end('ok');
  });
});

async function main() {
  await new Promise((done) => receiver.listen(0, '127.0.0.1', done));
  const output = { OutputFolder: 'node/', CallbackUrl: `http://127.0.0.1:${receiver.address().port}/zego` };
  const video = { Width: 640, Height: 360, Fps: 15, Bitrate: 500000 };
  const start = (input) =>
    call('StartRecord', {
      RoomId: given.room,
      RecordInputParams: input,
      RecordOutputParams: output,
      StorageParams: given.storage,
    });
  const said = {
    wrong: await call('StopRecord', { TaskId: 'x'.repeat(16) }, { secret: 'another' }),
    unknown: await call('StopRecord', { TaskId: 'x'.repeat(16) }, { get: true }),
    single: await start({ RecordMode: 1, RecordStreamList: [{ StreamId: 'ann' }, { StreamId: 'nobody' }] }),
    mixed: await start({ RecordMode: 2, MixConfig: { MixOutputStreamId: 'mix', MixOutputVideoConfig: video } }),
  };
  const single = said.single.Data.TaskId;
  const mixed = said.mixed.Data.TaskId;
  await wait(single, (data) => data.RecordFiles.length);
  await wait(mixed, (data) => data.RecordFiles.length);
  await sleep(3);
  said.paused = await call('PauseRecord', { TaskId: mixed });
  said.whilePaused = (await wait(mixed, (data) => data.Status === 5)).Status;
  said.resumed = await call('ResumeRecord', { TaskId: mixed }, { get: true });
  said.layout = await call('UpdateLayout', { TaskId: mixed, MixMode: 3, MixMaxResolutionStreamId: 'ann' });
  await sleep(3);
  const now = Date.now();
  const period = { RoomId: given.room, StartTime: now - 3600000, EndTime: now + 60000 };
  said.running = await call('DescribeTasks', { ...period, Status: 2 }, { get: true });
  said.stopped = [await call('StopRecord', { TaskId: single }), await call('StopRecord', { TaskId: mixed })];
  const uploaded = (data) => data.Status === 3 && (data.RecordFiles ?? []).every((file) => file.Status === 3);
  said.status = [await wait(single, uploaded), await wait(mixed, uploaded)];
  said.ended = await call('DescribeTasks', { ...period, Status: 3 });
  const over = (task) => (told[task] ?? []).some((event) => event.type === 1);
  for (let tries = 0; tries < 120 && !(over(single) && over(mixed)); tries++) await sleep(0.5);
  receiver.close();
  receiver.closeAllConnections();
  console.log(JSON.stringify({ ...said, told: [told[single], told[mixed]] }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
