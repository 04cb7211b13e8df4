export { type CardListeners, type ModelError, type RigCard } from './card-servers';
export { type AppReport, appReport, cardVariables } from './commands';
export { Rig, type RigOptions } from './rig';
