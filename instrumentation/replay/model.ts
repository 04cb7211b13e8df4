/** Whether the card that a recording is replayed to can be the recorded one, and what is said when it is not. */
import { applyFaults, type FaultDeclaration, FaultDeclarationError, type FaultyCard, type Link } from '../faults';
import { type PciCard } from '../../emulator/pci';
import { type CardDescription } from '../trace';
import { describeCard } from '../trace/card-description';
import { ReplayError } from './replay-error';

/** `the trace is of ReferenceCard 1234:4743, this is BlinkCard 1234:4742`; undefined for a card with the same IDs. */
export function otherModel(description: CardDescription, card: PciCard): string | undefined {
  const [then, now] = [description, describeCard(card, { name: description.name, unmapsWindows: false })].map(modelOf);
  return then!.ids === now!.ids
    ? undefined
    : `the trace is of ${then!.model} ${then!.ids}, this is ${now!.model} ${now!.ids}`;
}

const modelOf = ({ model, vendorId, deviceId }: CardDescription) => ({
  model,
  ids: [vendorId, deviceId].map((id) => id.toString(16).padStart(4, '0')).join(':'),
});

/** The faults that the recorded card had. Another model may not be able to have them: then that is what is said first. */
export function applyRecordedFaults(
  { faults }: CardDescription,
  card: PciCard,
  link: Link,
  other?: string,
): FaultyCard {
  try {
    return applyFaults(card, faults as FaultDeclaration[], link);
  } catch (error) {
    if (!(error instanceof FaultDeclarationError) || other === undefined) throw error;
    throw new ReplayError(`${other}, and it cannot have the faults of the trace: ${error.message}`);
  }
}
