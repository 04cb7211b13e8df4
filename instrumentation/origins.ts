/** Who did each register access: places in code of a guest, which are named when it is known what they are called. */
import { type DriverAccess, type Observer } from './observer';
import { type Places, namePlace } from './symbols';
import { type CardRecording, type Origin, type TraceRecorder } from './trace';

/** Of one address: what is at the top of the stack is a caller only in a function that stores nothing there. */
const MAX_CALLERS = 32;

type Nameable = { -readonly [Name in keyof Origin]: Origin[Name] };

export class Origins {
  static readonly #known = new WeakMap<Observer, Origins>();
  readonly #origins = new Map<string, Origin>();
  /** How many callers each address has. */
  readonly #callers = new Map<string, number>();
  #nameless: { readonly origin: Nameable; readonly access: DriverAccess }[] = [];
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
    const { pid, comm, pc, returnAddress } = access;
    const here = `${pid} ${comm} ${pc}`;
    return this.#origins.get(`${here} ${returnAddress}`) ?? this.#origins.get(here) ?? this.#add(here, access);
  }

  /** Finds names for those that have none yet, and records them. Resolves when that is done, as far as it can be. */
  name(recorder?: TraceRecorder): Promise<void> {
    this.#naming = this.#naming
      .then(() => this.#name())
      .catch((error: Error) => recorder?.mark(`not all code can be named: ${error.message}`, 'host'))
      .then(() => recorder && RecordedOrigins.of(recorder).recordNames());
    return this.#naming;
  }

  #add(here: string, access: DriverAccess): Origin {
    const { pid, comm: process, pc, returnAddress } = access;
    const callers = this.#callers.get(here) ?? 0;
    this.#callers.set(here, callers + 1);
    const address = `0x${pc.toString(16)}`;
    const origin: Origin = { kind: 'place', place: this.#origins.size + 1, pid, process, address };
    this.#origins.set(callers < MAX_CALLERS ? `${here} ${returnAddress}` : here, origin);
    this.#nameless.push({ origin, access });
    return origin;
  }

  async #name(): Promise<void> {
    if (this.places === undefined) return;
    const nameless = this.#nameless.splice(0);
    const found = await this.places.resolve(nameless.map(({ access }) => access));
    for (const [index, { origin }] of nameless.entries()) origin.name = namePlace(found[index]!);
  }
}

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
