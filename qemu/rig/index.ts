export { Rig, type RigCard, type RigOptions } from './rig';
