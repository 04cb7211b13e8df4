/** Snapshots of booted machines: saved and restored, for starts that are much faster than a cold boot. */
export { loadMachine, saveMachine } from './migration';
export { Snapshot, SnapshotStore } from './store';
