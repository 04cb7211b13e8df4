/**
 * The protocol between the host and the guest agent (guest-tools/agent), in one place: framing, messages, rules.
 *
 * **Framing.** A frame is a u32 little-endian length, then that many bytes: one MessagePack map. At most `MAX_FRAME_BYTES`.
 *
 * **Beginning.** A host begins with `hello`, whose first field is `type` and whose `id` no other host has used. The connection
 * may be one that another host has left in the middle of a frame: a port that was closed and opened, or a guest that was
 * saved and restored. So from where it sees a connection opened, the agent passes over all bytes before a hello, and the host
 * all before the answer to its own. An agent that does not see the change (a guest restored from a snapshot sees none) must
 * have been saved with nothing on its way: after the answer to the one request that was made.
 *
 * **Requests.** The host chooses a u32 `id` for each request; several run at once, and every message about one carries its id.
 *
 * | request | answers |
 * |---|---|
 * | `hello` (first message; what ran for an earlier host is killed) | `hello` with the id |
 * | `ping` | `pong` |
 * | `renew` (of a restored guest; EPERM from an agent that serves a socket: it is on no guest) | `renewed`; or `failed` |
 * | `exec`, then `input`…, `end` if `stdin` is true | `started`, `output`…, `exited`; or `failed` |
 * | `signal` (to the process group of a running `exec`; SIGKILL to its whole session) | none of its own |
 * | `resize` (of the terminal of a running `exec`) | none of its own |
 * | `push`, then `input`…, `end` | `done`; or `failed` |
 * | `fetch` | `output` with stream `file`…, `done`; or `failed` |
 *
 * **Flow control.** Of each request, at most `WINDOW_BYTES` of `data` are under way in either direction: a sender stops there,
 * and goes on by as much as the receiver's `credit` messages say has been consumed. So a command that writes faster than the
 * host reads is held back by its own pipe, one that does not read its input holds up nobody else, and nothing is lost.
 *
 * **Terminal.** An `exec` with `terminal` leads a session whose controlling terminal is a new one, of the devpts below its
 * `root` if one is mounted there. What is written to it comes as `stdout`. It gets `input` as if typed: a job in the
 * foreground is interrupted by typing ^C, not by `signal`. `end` types the end character (^D); without `stdin` that is all.
 *
 * **Ends.** A command has ended when its process has: output of daemons that it leaves behind is not waited for. On its time
 * limit, the agent kills its session, with all process groups in it (SIGKILL), and `exited` says `timedOut`.
 *
 * **Marks.** A program in the guest that wants a moment to be found again (`gc-mark`) tells the agent, which sends `mark`
 * with an id of its own choice; the host answers `marked` with that id when everything that the guest wrote to its cards
 * before has arrived, and only then the program goes on. What a host that goes away leaves unanswered, the agent answers.
 *
 * **Lost and found.** When the host side closes, the agent kills what runs and forgets all state; when it is opened again the
 * agent sends a `hello` without id, which tells a host that has not noticed that all is lost. A frame that makes no sense gets `failed` (if an id can be read) or `error`, and the
 * agent goes on with the next.
 */

export const PROTOCOL_VERSION = 2;
/** Longest frame body in bytes, in both directions. */
export const MAX_FRAME_BYTES = 256 * 1024;
/** Bytes of data of one request that may be under way in one direction, without having been consumed. */
export const WINDOW_BYTES = 256 * 1024;
/** How much data goes into one message. */
export const CHUNK_BYTES = 32 * 1024;

export type OutputStream = 'stdout' | 'stderr';

/** In characters, at most 65535 each. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** Host to agent. */
export type HostMessage =
  | { type: 'hello' | 'ping'; id: number }
  | {
      type: 'renew';
      id: number;
      /** The time of day, in milliseconds since 1970. */
      realtimeMs: number;
      /** At most 512 random bytes for the kernel's generator, counted as fully random; it takes them up at once. */
      entropy: Uint8Array;
      hostname: string;
    }
  | {
      type: 'exec';
      id: number;
      argv: string[];
      /** Added to the agent's own environment. */
      env?: Record<string, string>;
      /** Folder that the command sees as its `/`; `cwd` and the look-up in PATH are below it. Absent: the agent's own. */
      root?: string;
      /** Absent: `/` below a `root`, otherwise the agent's own. */
      cwd?: string;
      /** Limit on the run time; absent or 0: none. */
      timeoutMs?: number;
      /** True: `input` and `end` follow. Otherwise the command reads /dev/null. */
      stdin?: boolean;
      /** True: on a terminal of the size that `columns` and `rows` give. */
      terminal?: boolean;
      columns?: number;
      rows?: number;
    }
  | { type: 'input'; id: number; data: Uint8Array }
  | { type: 'end'; id: number }
  | { type: 'credit'; id: number; bytes: number }
  | { type: 'signal'; id: number; signal: string }
  | ({ type: 'resize'; id: number } & TerminalSize)
  | { type: 'marked'; id: number }
  | { type: 'push'; id: number; path: string; mode: number }
  | { type: 'fetch'; id: number; path: string };

/** What the agent says about itself and its kernel. */
export interface AgentHello {
  protocol: number;
  maxFrameBytes: number;
  windowBytes: number;
  pid: number;
  /** Release of the kernel it runs on (uname -r), and its machine (uname -m). */
  kernel: string;
  machine: string;
}

export interface ExitedMessage {
  type: 'exited';
  id: number;
  /** One of the two is there. */
  exitCode?: number;
  signal?: string;
  timedOut: boolean;
  durationMs: number;
}

/** Agent to host. */
export type AgentMessage =
  | ({ type: 'hello'; id?: number } & AgentHello)
  | { type: 'pong' | 'renewed'; id: number }
  | { type: 'mark'; id: number; text: string }
  | { type: 'started'; id: number; pid: number }
  | { type: 'output'; id: number; stream: OutputStream | 'file'; data: Buffer }
  | { type: 'credit'; id: number; bytes: number }
  | ExitedMessage
  | { type: 'done'; id: number; bytes: number; mode: number }
  /** `code` is errno's name (ENOENT), empty when no system call failed. */
  | { type: 'failed'; id: number; errno: number; code: string; message: string }
  | { type: 'error'; message: string };
