/**
 * The watching thread of watchdog.ts. JavaScript, because it must start at once, whoever runs the TypeScript around it:
 * ts-node or Vitest.
 *
 * Its inspector session reaches the main thread even in a busy loop: the debugger interrupts it, which gives the stack,
 * and there the exit. What waits in a system call cannot be interrupted.
 *
 * Sources: node:inspector, connectToMainThread; Chrome DevTools Protocol, domain Debugger.
 */
'use strict';
const { closeSync, openSync, writeSync } = require('node:fs');
const { Session } = require('node:inspector');
const { SourceMap } = require('node:module');
const { fileURLToPath } = require('node:url');
const { parentPort, workerData } = require('node:worker_threads');

const { beats, beatMs, folders } = workerData;
const EXIT_FAULT = 125;
/** How long the main thread may take to be interrupted; what runs JavaScript takes some milliseconds. */
const STACK_TIMEOUT_MS = 2000;
const SHOWN_FRAMES = 6;
/** Innermost frames that are examined. */
const ASKED_FRAMES = 50;

let limitMs = Infinity;
let scope = 'cards';
/** What the program has said that it is doing: tests that run. */
let activities = [];
let lastBeat = 0;
/** Own ticks without a heartbeat, not time: a machine that was asleep has missed both. */
let missed = 0;
let isTold = false;

parentPort.on('message', (order) => {
  ({ limitMs, scope, activities } = order);
  missed = 0;
});

setInterval(() => {
  const beat = Atomics.load(beats, 0);
  if (beat !== lastBeat || limitMs === Infinity) {
    lastBeat = beat;
    missed = 0;
    isTold = false;
    return;
  }
  missed++;
  if (missed * beatMs < limitMs || isTold) return;
  isTold = true;
  interrupt();
}, beatMs);

/** Interrupts the main thread where it is, and decides whether the process ends. */
function interrupt() {
  const session = new Session();
  session.connectToMainThread();
  const scripts = new Map();
  const release = () => {
    clearTimeout(timer);
    session.disconnect();
  };
  const timer = setTimeout(() => {
    const ends = scope === 'process';
    say(ends, `This program has not returned to its event loop for ${seconds()}: it waits in a system call.`);
    if (ends) process.kill(process.pid, 'SIGKILL'); // nothing milder reaches it
    release();
  }, STACK_TIMEOUT_MS);

  session.on('Debugger.scriptParsed', ({ params }) => {
    scripts.set(params.scriptId, { file: fileOf(params.url), sourceMapUrl: params.sourceMapURL });
  });
  session.on('Debugger.paused', async ({ params: { callFrames } }) => {
    if (Atomics.load(beats, 0) !== lastBeat) return release(); // it has returned a moment ago
    clearTimeout(timer);
    const frames = callFrames
      .map(({ functionName, location }) => ({ functionName, location, ...scripts.get(location.scriptId) }))
      .filter(({ file }) => file !== undefined);
    const outside = frames.filter(({ file }) => !folders.some((folder) => file.startsWith(`${folder}/`)));
    const isModel = outside.length < frames.length;
    const ends = isModel || scope === 'process';
    const card = await cardAmong(callFrames, session);
    const model = card === undefined ? 'The card model' : `The model of the card ${card}`;
    const who = isModel ? `${model} has not returned` : 'This program has not returned to its event loop';
    const during = activities.length === 0 ? '' : `, in ${activities.join(', or ')}`;
    say(ends, `${who} for ${seconds()}${during}:\n${stackOf(outside.length > 0 ? outside : frames)}`);
    if (!ends) return release();
    muteStandardError();
    // Not process.exit: it can be replaced, as Vitest does, and what listens for it might wait for ever.
    // Recordings are notified, so that they contain the access from which the model has not returned.
    const expression = `try { process.emit('ghostcard:ends') } finally { process.reallyExit(${EXIT_FAULT}) }`;
    session.post('Debugger.evaluateOnCallFrame', { callFrameId: callFrames[0].callFrameId, expression });
  });
  session.post('Debugger.enable');
  session.post('Debugger.pause');
}

/** The class of the card whose method is on the stack; undefined when there is none, as in its constructor. */
async function cardAmong(callFrames, session) {
  const expression = `(() => {
    for (let type = this?.constructor; type; type = Object.getPrototypeOf(type))
      if (type.name === 'PciCard') return this.constructor.name;
  })()`;
  for (const { callFrameId } of callFrames.slice(0, ASKED_FRAMES)) {
    const question = { callFrameId, expression, silent: true, returnByValue: true };
    const answer = await new Promise((resolve) => {
      session.post('Debugger.evaluateOnCallFrame', question, (_, value) => resolve(value));
    });
    if (typeof answer?.result?.value === 'string') return answer.result.value;
  }
  return undefined;
}

const seconds = () => `${limitMs / 1000} s`;

function say(ends, text) {
  const what = ends
    ? 'The process is ended. GHOSTCARD_WATCHDOG=SECONDS sets another limit, 0 none; a debugger switches it off.'
    : 'Cards and guest stand still meanwhile: QEMU gives a card 5 s to answer.';
  try {
    writeSync(2, `ghostcard: ${text}\n${what}\n`);
  } catch {
    // nobody reads it
  }
}

/** Node prints on standard error that a debugger is still connected, which is this thread. */
function muteStandardError() {
  closeSync(2);
  openSync('/dev/null', 'w'); // the lowest free descriptor: 2
}

/** The innermost frames, as a stack trace shows them. */
function stackOf(frames) {
  return frames
    .slice(0, SHOWN_FRAMES)
    .map(({ functionName, file, location, sourceMapUrl }) => {
      const { line, column } = original(location, sourceMapUrl);
      return `    at ${functionName || '(anonymous)'} (${file}:${line}:${column})`;
    })
    .join('\n');
}

/** Undefined for what is Node's own. */
function fileOf(url) {
  if (url.startsWith('/')) return url;
  return url.startsWith('file://') ? fileURLToPath(url) : undefined;
}

/** Where a place of the compiled text stands in the source, if its map is at hand; counted from 1. */
function original({ lineNumber, columnNumber = 0 }, sourceMapUrl) {
  const [, base64] = /^data:application\/json[^,]*;base64,(.*)$/s.exec(sourceMapUrl ?? '') ?? [];
  if (base64 !== undefined) {
    try {
      const map = new SourceMap(JSON.parse(Buffer.from(base64, 'base64').toString()));
      const { originalLine, originalColumn } = map.findEntry(lineNumber, columnNumber);
      if (originalLine !== undefined) return { line: originalLine + 1, column: originalColumn + 1 };
    } catch {
      // a map that cannot be read: the compiled place is better than none
    }
  }
  return { line: lineNumber + 1, column: columnNumber + 1 };
}
