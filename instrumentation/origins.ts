/** Records who did each register access: the places in code of the guest, which one trace numbers for all its cards. */
import { type DriverAccess } from './observer';
import { type CardRecording, type TraceRecorder } from './trace';

const known = new WeakMap<TraceRecorder, Map<string, number>>();

export function recordOrigin(recorder: TraceRecorder, recording: CardRecording, access: DriverAccess): void {
  let places = known.get(recorder);
  if (places === undefined) known.set(recorder, (places = new Map()));
  const { pid, comm, pc, returnAddress, isKernel } = access;
  const key = `${pid} ${comm} ${pc} ${isKernel ? returnAddress : ''}`;
  let place = places.get(key);
  if (place === undefined) {
    places.set(key, (place = places.size + 1));
    const address = `0x${pc.toString(16)}`;
    recorder.record({ kind: 'place', card: 0, timeNs: 0, place, pid, process: comm, address });
  }
  recording.record({ kind: 'origin', place });
}
