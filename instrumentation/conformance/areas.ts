/** All cases, by area, in the order in which they run. */
import { configuration } from './areas/configuration';
import { connections } from './areas/connections';
import { descriptors } from './areas/descriptors';
import { dma } from './areas/dma';
import { information } from './areas/information';
import { interrupts } from './areas/interrupts';
import { messages } from './areas/messages';
import { negotiation } from './areas/negotiation';
import { ordering } from './areas/ordering';
import { regions } from './areas/regions';
import { type Area } from './case';

export const AREAS: readonly Area[] = [
  negotiation,
  messages,
  information,
  regions,
  configuration,
  interrupts,
  dma,
  ordering,
  connections,
  descriptors,
];
