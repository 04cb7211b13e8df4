/**
 * The protocol between the host and the guest agent (guest-tools/agent): framing, messages, rules.
 *
 * **Framing.** A frame is a u32 little-endian length, followed by that many bytes: one MessagePack map. The length is
 * at most `MAX_FRAME_BYTES`.
 *
 * **Start.** A host begins with `hello`, whose first field is `type` and whose `id` no other host has used. Another
 * host may have left the connection in the middle of a frame: the port was closed and opened again, or the guest was
 * saved and restored. So after a connection is opened, the agent skips all bytes before a hello, and the host all bytes
 * before the reply to its own. An agent that cannot notice the change (that of a guest restored from a snapshot) must
 * have been saved with nothing in transit: after the reply to the only request that was made.
 *
 * **Requests.** The host chooses a u32 `id` for each request. Several run concurrently; every message about one has its
 * id.
 *
 * | request | replies |
 * |---|---|
 * | `hello` (first message; what ran for an earlier host is killed) | `hello` with the id |
 * | `ping` | `pong` |
 * | `renew` (of a restored guest; EPERM from an agent on a socket, which is not in a guest) | `renewed`; or `failed` |
 * | `exec`, then `input`…, `end` if `stdin` is true | `started`, `output`…, `exited`; or `failed` |
 * | `signal` (to the process group of a running `exec`; SIGKILL to its whole session) | none of its own |
 * | `resize` (of the terminal of a running `exec`) | none of its own |
 * | `push`, then `input`…, `end` | `done`; or `failed` |
 * | `fetch` | `output` with stream `file`…, `done`; or `failed` |
 *
 * **Flow control.** For each request, at most `WINDOW_BYTES` of `data` are in transit in either direction. The sender
 * stops there, and continues by as many bytes as the receiver's `credit` messages report as consumed. So a command that
 * writes faster than the host reads blocks on its own pipe, one that does not read its input blocks no other, and
 * nothing is lost.
 *
 * **Terminal.** An `exec` with `terminal` leads a session with a new controlling terminal, from the devpts below its
 * `root` if one is mounted there. What is written to it is sent as `stdout`. It gets `input` as if typed: a foreground
 * job is interrupted by typing ^C, not by `signal`. `end` types the end-of-file character (^D); without `stdin` that is
 * the only input.
 *
 * **End.** A command ends when its process does; the output of daemons that it leaves behind is not waited for. At the
 * time limit, the agent sends `late`, kills its session with all process groups in it (SIGKILL), and `exited` has
 * `timedOut`.
 *
 * **Marks.** A program in the guest that marks a moment (`gc-mark`) sends the text to the agent, which sends `mark`
 * with an id of its own choice. The host replies `marked` with that id when everything that the guest has written to
 * its cards before has arrived; only then does the program continue. If the host disconnects, the agent replies in its
 * place.
 *
 * **Errors.** When the host's side closes, the agent kills everything that runs and discards all state. When it is
 * opened again, the agent sends a `hello` without id, which tells a host that has not noticed that all state is lost.
 * An invalid frame gets `failed` (if an id can be read) or `error`, and the agent continues with the next one.
 */

export const PROTOCOL_VERSION = 2;
/** Maximum length of a frame body in bytes, in both directions. */
export const MAX_FRAME_BYTES = 256 * 1024;
/** Maximum number of bytes of one request in transit in one direction, not yet consumed. */
export const WINDOW_BYTES = 256 * 1024;
/** Number of data bytes in one message. */
export const CHUNK_BYTES = 32 * 1024;

export type OutputStream = 'stdout' | 'stderr';

/** In characters; at most 65535 each. */
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
      /**
       * At most 512 random bytes for the kernel's random number generator, credited as full entropy and used at once.
       */
      entropy: Uint8Array;
      hostname: string;
    }
  | {
      type: 'exec';
      id: number;
      argv: string[];
      /** Added to the agent's own environment. */
      env?: Record<string, string>;
      /** Folder that is the command's `/`; `cwd` and PATH are below it. Absent: the agent's own. */
      root?: string;
      /** Absent: `/` below `root`, else the agent's own. */
      cwd?: string;
      /** Time limit; absent or 0: none. */
      timeoutMs?: number;
      /** True: `input` and `end` follow. Otherwise the command reads /dev/null. */
      stdin?: boolean;
      /** True: run on a terminal of `columns` and `rows`. */
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

/** What the agent reports about itself and its kernel. */
export interface AgentHello {
  protocol: number;
  maxFrameBytes: number;
  windowBytes: number;
  pid: number;
  /** Release of its kernel (uname -r), and its machine (uname -m). */
  kernel: string;
  machine: string;
}

export interface ExitedMessage {
  type: 'exited';
  id: number;
  /** Exactly one of the two is present. */
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
  /** The command is at its time limit, and is killed: its processes, and where in the kernel each of them waits. */
  | { type: 'late'; id: number; processes: string }
  | { type: 'output'; id: number; stream: OutputStream | 'file'; data: Buffer }
  | { type: 'credit'; id: number; bytes: number }
  | ExitedMessage
  | { type: 'done'; id: number; bytes: number; mode: number }
  /** `code` is the name of the errno (ENOENT), empty if no system call failed. */
  | { type: 'failed'; id: number; errno: number; code: string; message: string }
  | { type: 'error'; message: string };
