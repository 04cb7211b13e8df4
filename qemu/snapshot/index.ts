/** Machines that have booted, saved and loaded: what makes a start take a fraction of a boot. */
export { loadMachine, saveMachine } from './migration';
export { Snapshot, SnapshotStore } from './store';
