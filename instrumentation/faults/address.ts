/** Addresses as they are declared. */
import { type Address } from './declaration';

export const addressOf = (address: Address): number => Number(address);
