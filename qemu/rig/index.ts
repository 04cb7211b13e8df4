export { type CardListeners, type ModelError, type RigCard } from './card-servers';
export { type AppReport, appReport, cardVariables } from './commands';
export { CodeOfGuest, type GuestCodeOptions } from './guest-code';
export { Rig, type RigOptions } from './rig';
