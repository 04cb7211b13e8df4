/** Who did each register access, in a trace: the places in code of the guest, which one trace numbers for all its cards. */
import { type DriverAccess } from './observer';
import { type Places, namePlace } from './symbols';
import { type CardRecording, type TraceRecorder } from './trace';

/** Of one address: what is at the top of the stack is a caller only in a function that stores nothing there. */
const MAX_CALLERS = 32;

export class Origins {
  static readonly #known = new WeakMap<TraceRecorder, Origins>();
  readonly #places = new Map<string, number>();
  /** How many callers each address has. */
  readonly #callers = new Map<string, number>();
  /** Places without a name. */
  #nameless: { readonly place: number; readonly access: DriverAccess }[] = [];

  private constructor(private readonly recorder: TraceRecorder) {}

  /** Those of a trace. */
  static of(recorder: TraceRecorder): Origins {
    let origins = Origins.#known.get(recorder);
    if (origins === undefined) Origins.#known.set(recorder, (origins = new Origins(recorder)));
    return origins;
  }

  record(recording: CardRecording, access: DriverAccess): void {
    const { pid, comm, pc, returnAddress } = access;
    const here = `${pid} ${comm} ${pc}`;
    const place = this.#places.get(`${here} ${returnAddress}`) ?? this.#places.get(here) ?? this.#add(here, access);
    recording.record({ kind: 'origin', place });
  }

  #add(here: string, access: DriverAccess): number {
    const place = this.#places.size + 1;
    const callers = this.#callers.get(here) ?? 0;
    this.#callers.set(here, callers + 1);
    this.#places.set(callers < MAX_CALLERS ? `${here} ${access.returnAddress}` : here, place);
    this.#nameless.push({ place, access });
    this.#recordPlace(place, access);
    return place;
  }

  /** Records the names of the places that have none yet. */
  async name(places: Places): Promise<void> {
    const nameless = this.#nameless.splice(0);
    const found = await places.resolve(nameless.map(({ access }) => access));
    for (const [index, { place, access }] of nameless.entries())
      this.#recordPlace(place, access, namePlace(found[index]!));
  }

  #recordPlace(place: number, { pid, comm, pc }: DriverAccess, name?: string): void {
    const stamp = { card: 0, timeNs: 0 };
    const address = `0x${pc.toString(16)}`;
    this.recorder.record({ kind: 'place', ...stamp, place, pid, process: comm, address, ...(name && { name }) });
  }
}
