/**
 * Who did each register access, and who wrote what cards read: places in code of a guest, which are named when it is known
 * what they are called.
 */
import { type DriverAccess, type Observer, type Piece, type Writer } from './observer';
import { type CodeAddress, namePlace, type Place, type Places } from './symbols';
import { type CardRecording, type Origin, type TraceRecorder } from './trace';

/** Of one address: what is at the top of the stack is a caller only in a function that stores nothing there. */
const MAX_CALLERS = 32;

type Nameable = { -readonly [Name in keyof Origin]: Origin[Name] };

export class Origins {
  static readonly #known = new WeakMap<Observer, Origins>();
  readonly #origins = new Map<string, Origin>();
  /** How many callers each address has. */
  readonly #callers = new Map<string, number>();
  #nameless: { readonly origin: Nameable; readonly code: readonly CodeAddress[]; readonly prefix: string }[] = [];
  #naming = Promise.resolve();
  /** Knows the guest's code, once the guest is up. */
  places: Places | undefined;

  private constructor() {}

  /** Those of an observed guest. */
  static of(observer: Observer): Origins {
    let origins = Origins.#known.get(observer);
    if (origins === undefined) Origins.#known.set(observer, (origins = new Origins()));
    return origins;
  }

  of(access: DriverAccess): Origin {
    const { pid, comm: process, pc, returnAddress } = access;
    const here = `${pid} ${process} ${pc}`;
    return this.#get(here, returnAddress, { pid, process, address: hex(pc), code: [access] });
  }

  /** Of what writes memory: code with its caller, or DMA with the register write that had started it. */
  ofWriter(writer: Writer): Origin {
    if (writer.by === 'code') {
      const { pid, pc, isKernel, caller } = writer;
      const code = [{ pid, pc, isKernel }, ...(caller === undefined ? [] : [{ pid, pc: caller - 1n, isKernel }])];
      return this.#get(`writer ${pid} ${pc}`, caller, { pid, process: '', address: hex(pc), code });
    }
    const { card, channel, role, access } = writer;
    const doorbell = access?.doorbell;
    const by = doorbell?.by;
    const started = doorbell === undefined ? '' : `, started by ${doorbell.register()}`;
    const address = `DMA of ${channel === '' ? card : `${card}, ${channel}`}${wordRole(role)}${started}`;
    return this.#get(`${address} ${by?.pid} ${by?.comm} ${by?.pc}`, by?.returnAddress, {
      ...{ pid: by?.pid ?? 0, process: by?.comm ?? '', address },
      ...{ code: by === undefined ? [] : [by], prefix: `${address} at ` },
    });
  }

  /** Finds names for those that have none yet, and records them. Resolves when that is done, as far as it can be. */
  name(recorder?: TraceRecorder): Promise<void> {
    this.#naming = this.#naming
      .then(() => this.#name())
      .catch((error: Error) => recorder?.mark(`not all code can be named: ${error.message}`, 'host'))
      .then(() => recorder && RecordedOrigins.of(recorder).recordNames());
    return this.#naming;
  }

  #get(here: string, caller: bigint | undefined, source: OriginSource): Origin {
    const withCaller = `${here} ${caller}`;
    return this.#origins.get(withCaller) ?? this.#origins.get(here) ?? this.#add(here, withCaller, source);
  }

  #add(here: string, withCaller: string, { pid, process, address, code, prefix = '' }: OriginSource): Origin {
    const callers = this.#callers.get(here) ?? 0;
    this.#callers.set(here, callers + 1);
    const origin: Origin = { kind: 'place', place: this.#origins.size + 1, pid, process, address };
    this.#origins.set(callers < MAX_CALLERS ? withCaller : here, origin);
    if (code.length > 0) this.#nameless.push({ origin, code, prefix });
    return origin;
  }

  async #name(): Promise<void> {
    if (this.places === undefined) return;
    const nameless = this.#nameless.splice(0);
    const found = await this.places.resolve(nameless.flatMap(({ code }) => code));
    let next = 0;
    for (const { origin, code, prefix } of nameless) {
      const named = found.slice(next, (next += code.length));
      origin.name = prefix + nameCode(named);
      if (origin.process === '') origin.process = named[0]!.process?.name ?? '';
    }
  }
}

/** What an origin is of: it is named by the code, which may be called by other code. */
interface OriginSource {
  readonly pid: number;
  readonly process: string;
  readonly address: string;
  readonly code: readonly CodeAddress[];
  readonly prefix?: string;
}

const hex = (pc: bigint): string => `0x${pc.toString(16)}`;

/** ` (data)`; '' where the card does not say. */
export const wordRole = (role: string): string => (role === 'other' ? '' : ` (${role})`);

/** "dma.c:13 fill, called by driver.c:212 send": a place with the one that has called it. */
export const nameCode = (code: readonly Place[]): string => code.map(namePlace).join(', called by ');

/** The places that a trace has, for all its cards. */
export class RecordedOrigins {
  static readonly #known = new WeakMap<TraceRecorder, RecordedOrigins>();
  readonly #places = new Set<Origin>();
  readonly #nameless = new Set<Origin>();

  private constructor(private readonly recorder: TraceRecorder) {}

  static of(recorder: TraceRecorder): RecordedOrigins {
    let recorded = RecordedOrigins.#known.get(recorder);
    if (recorded === undefined) RecordedOrigins.#known.set(recorder, (recorded = new RecordedOrigins(recorder)));
    return recorded;
  }

  /** Of the last access of a BAR. */
  record(recording: CardRecording, origin: Origin): void {
    if (!this.#places.has(origin)) this.#recordPlace(origin);
    recording.record({ kind: 'origin', place: origin.place });
  }

  /** Of the last DMA: who wrote what was read. */
  recordWritten(recording: CardRecording, pieces: readonly Piece<Origin | undefined>[]): void {
    for (const { who } of pieces) if (who !== undefined && !this.#places.has(who)) this.#recordPlace(who);
    if (pieces.every(({ who }) => who === undefined)) return;
    const written = pieces.map(({ who, ...piece }) => ({ ...piece, place: who?.place ?? 0 }));
    recording.record({ kind: 'written', pieces: written });
  }

  /** Records the names that have been found by now. */
  recordNames(): void {
    for (const origin of this.#nameless) if (origin.name !== undefined) this.#recordPlace(origin);
  }

  #recordPlace(origin: Origin): void {
    this.#places.add(origin);
    if (origin.name === undefined) this.#nameless.add(origin);
    else this.#nameless.delete(origin);
    this.recorder.record({ ...origin, card: 0, timeNs: 0 });
  }
}
