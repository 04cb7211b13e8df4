/**
 * What a card's author adds to configuration space: capabilities, extended capabilities, and registers outside of them.
 * Their registers work like those of a BAR: access rules, hooks, reset values.
 */
import { type MapSpec, RegisterFile, type RegisterMap, type ResetKind } from '../registers';
import {
  customCapability,
  type CustomCapability,
  customExtendedCapability,
  type CustomExtendedCapability,
} from './capabilities/custom';
import { ADVANCED_ERROR_REPORTING_ID } from './capabilities/advanced-error-reporting';
import { type CapabilityKind } from './config-placement';
import { type ConfigSpace } from './config-space';
import { CardDefinitionError } from './identity';

/** Registers at fixed offsets of configuration space. */
export interface ConfigRegisters<S extends MapSpec = MapSpec> {
  /** What traces call them: `config:NAME.REGISTER`. */
  readonly name: string;
  /** Offsets are those of configuration space: 0x40 to 0xfff. */
  readonly map: RegisterMap<S>;
}

export class AuthorConfig {
  readonly #files: RegisterFile[] = [];

  /** `hasErrors`: the library's own Advanced Error Reporting is there. */
  constructor(
    private readonly config: ConfigSpace,
    private readonly hasErrors: boolean,
  ) {}

  capability<S extends MapSpec>(capability: CustomCapability<S>): RegisterFile<S> {
    return this.#add('standard', capability, customCapability(capability));
  }

  extendedCapability<S extends MapSpec>(capability: CustomExtendedCapability<S>): RegisterFile<S> {
    if (this.hasErrors && capability.id === ADVANCED_ERROR_REPORTING_ID) {
      throw new CardDefinitionError(
        `capability ${capability.name}: the library has Advanced Error Reporting (id 1): leave this one out ` +
          '(capabilityOffsets: { AER: … } says where it lies), or say advancedErrorReporting: false in the identity',
      );
    }
    return this.#add('extended', capability, customExtendedCapability(capability));
  }

  registers<S extends MapSpec>({ name, map }: ConfigRegisters<S>): RegisterFile<S> {
    const file = new RegisterFile(map);
    this.config.addRegisters(name, file);
    this.#files.push(file);
    return file;
  }

  reset(kind: ResetKind): void {
    for (const file of this.#files) file.reset(kind);
  }

  /** The whole capability has the author's registers, and so their names and types. */
  #add<S extends MapSpec>(kind: CapabilityKind, { name, offset }: CustomCapability<S>, map: RegisterMap) {
    const registers = new RegisterFile(map);
    this.config.addCapability({ name, kind, offset, registers });
    this.#files.push(registers);
    return registers as unknown as RegisterFile<S>;
  }
}
