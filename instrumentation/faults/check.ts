/** Whether a fault is declared right: the form of what a file or a test has given, and whether the card has what it names. */
import { Irq, type PciCard } from '../../emulator/pci';
import { nearestNames } from '../../emulator/registers/nearest-names';
import { channelsNamed } from '../trace';
import { type Kind, TRIGGERS } from './kind';
import { FAULT_KINDS, type FaultDeclaration, KINDS } from './kinds';
import {
  addressOf,
  COMMON,
  type AccessMatch,
  type DmaMatch,
  FaultDeclarationError,
  type InterruptMatch,
  isObject,
  ns,
  oneOf,
  type Parameters,
  required,
} from './parameters';
import { shown } from './shown';

export const kindOf = ({ fault }: FaultDeclaration): Kind => KINDS[fault];

/** Throws a FaultDeclarationError that begins with `place` when the declaration is none. */
export function checkFault(declaration: unknown, place: string): asserts declaration is FaultDeclaration {
  const wrong = mistakeIn(declaration);
  if (wrong !== undefined) throw new FaultDeclarationError(`${place}: ${wrong}`);
}

function mistakeIn(declaration: unknown): string | undefined {
  if (!isObject(declaration))
    return `a fault is an object such as { "fault": "write-lost" }, not ${shown(declaration)}`;
  const { fault } = declaration;
  if (typeof fault !== 'string' || !Object.hasOwn(KINDS, fault)) {
    const nearest = typeof fault === 'string' ? nearestNames(fault, FAULT_KINDS) : FAULT_KINDS;
    return `fault is ${shown(fault)}; the nearest of the kinds there are: ${nearest.join(', ')}`;
  }
  const parameters = parametersOf(declaration as FaultDeclaration);
  if (typeof parameters === 'string') return parameters;
  for (const [key, value] of Object.entries(declaration)) {
    if (key === 'fault') continue;
    const parameter = Object.hasOwn(parameters, key) ? parameters[key] : undefined;
    if (parameter === undefined) return `it has no '${key}'; what it may have: ${Object.keys(parameters).join(', ')}`;
    if (!parameter.isMet(value)) return `${key} is ${shown(value)}; it must be ${parameter.expected}`;
  }
  for (const [key, { need, expected }] of Object.entries(parameters)) {
    if (need === 'required' && declaration[key] === undefined) return `${key} is missing; it must be ${expected}`;
  }
  const { register, bar, offset } = declaration;
  if (register !== undefined && (bar ?? offset) !== undefined) return 'register says where; leave out bar and offset';
  if (offset !== undefined && bar === undefined) return 'offset is in a BAR: say which (bar)';
  return undefined;
}

/** What a declaration of its kind may have; or what is wrong with the event that it is to happen with. */
function parametersOf(declaration: FaultDeclaration): Parameters | string {
  const { match, parameters, triggers } = kindOf(declaration);
  const all = { ...COMMON, ...match, ...parameters };
  if (triggers === undefined) return all;
  const { on, atNs } = declaration as { on?: unknown; atNs?: unknown };
  if (atNs !== undefined && on !== undefined) return 'it happens at a time (atNs) or on an event (on), not both';
  if (atNs !== undefined) return { ...all, atNs: required(ns, '') };
  const event = triggers.find((trigger) => trigger === on);
  if (event !== undefined) return { ...TRIGGERS[event], ...all, on: required(oneOf(...triggers), '') };
  return `on is ${shown(on)}; it must be ${oneOf(...triggers).expected}, or atNs must say when it happens`;
}

/** A declaration that has been checked, with its defaults. */
export function withDefaults(declaration: FaultDeclaration): FaultDeclaration {
  const defaults = Object.entries(parametersOf(declaration))
    .filter(([, { need }]) => need === 'default')
    .map(([key, parameter]) => [key, parameter.default]);
  return { ...Object.fromEntries(defaults), ...declaration };
}

/** What a declaration names must be there; registers are looked for where they are matched. */
export function checkForCard(declaration: FaultDeclaration, card: PciCard): void {
  const { inspection, layout } = card;
  const named: Partial<DmaMatch & AccessMatch & InterruptMatch> = declaration as object;
  const { channel, role, vector, bar, offset } = named;
  const { initiators } = inspection.dma;
  if (channel !== undefined) checkChannel(card, channel);
  const needed = role === undefined ? kindOf(declaration).roles : [role];
  if (needed !== undefined && !initiators.some((by) => needed.includes(by.role))) {
    const roles = [...new Set(initiators.map((by) => by.role))].join(', ');
    const wanted = needed.join(' or ');
    throw new FaultDeclarationError(
      `the card has no DMA of the role ${wanted}; it has ${roles} (the model says so with dmaAs({ channel, role }))`,
    );
  }
  const { [Irq.INTX]: intx, [Irq.MSI]: msi, [Irq.MSIX]: msix } = layout.irqs;
  const vectors = Math.max(intx?.count ?? 0, msi?.count ?? 0, msix?.count ?? 0);
  if (vector !== undefined && vector >= vectors) {
    throw new FaultDeclarationError(
      vectors === 0 ? 'the card has no interrupts' : `the card has no vector ${vector}; it has 0 to ${vectors - 1}`,
    );
  }
  if (bar === undefined) return;
  const sizeBytes = layout.regions[bar]?.sizeBytes ?? 0;
  if (sizeBytes === 0) throw new FaultDeclarationError(`the card has no BAR ${bar}`);
  if (offset && addressOf(offset.from ?? 0) >= sizeBytes) {
    throw new FaultDeclarationError(`offset begins at ${String(offset.from)}; BAR ${bar} has ${sizeBytes} bytes`);
  }
}

function checkChannel(card: PciCard, channel: string): void {
  try {
    channelsNamed(card, channel);
  } catch (error) {
    throw new FaultDeclarationError((error as Error).message);
  }
}
