/** All cases, by area, in the order in which they run. */
import { type Area } from './case';
import { messages } from './areas/messages';
import { negotiation } from './areas/negotiation';

export const AREAS: readonly Area[] = [negotiation, messages];
