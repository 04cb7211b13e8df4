/** Addresses as they are declared. */
import { type Address } from './parameters';

export const addressOf = (address: Address): number => Number(address);
