export { type AppReport, appReport } from './app-report';
export { cardVariables } from './card-variables';
export { type ModelError, Rig, type RigCard, type RigOptions } from './rig';
