/**
 * `ghostcard completion SHELL` prints what the shell is to evaluate: the names of commands, options and values. Where a name
 * of a file may stand, the shell completes those itself, and so it does after `--`.
 */
import { Argument, Command, type Option } from 'commander';
import { BUILT_IN_CARDS } from '../../emulator/cards/built-in';
import { print } from '../common/output';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

/** Values of options of any command. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  card: Object.keys(BUILT_IN_CARDS),
  driver: ['uio_pci_generic', 'vfio-pci', 'uio_pdrv_genirq', 'uio_dmem_genirq', 'vfio-platform', 'none'],
};
const valuesOf = (option: Option): readonly string[] => option.argChoices ?? VALUES[option.name()] ?? [];
const takesValue = ({ required, optional }: Option): boolean => required || optional;

interface Node {
  /** Its name and those of its parents, such as `trace show`; '' for ghostcard itself. */
  readonly path: string;
  readonly description: string;
  readonly subcommands: readonly Command[];
  /** Values of its arguments. */
  readonly choices: readonly string[];
  readonly options: readonly Option[];
}

/** `root`: the command line with all commands. */
export const completionCommand = (root: () => Promise<Command>): Command =>
  new Command('completion')
    .description('Print what a shell needs to complete the command line: eval "$(ghostcard completion bash)".')
    .addArgument(new Argument('<shell>', 'for which shell').choices(SHELLS))
    .action(async (shell: Shell) => {
      const nodes = nodesBelow(await root(), []);
      if (shell === 'fish') print(fishScript(nodes));
      else print(`${shell === 'zsh' ? 'autoload -U +X bashcompinit && bashcompinit\n' : ''}${bashScript(nodes)}`);
    });

function nodesBelow(command: Command, path: readonly string[]): Node[] {
  const help = command.createHelp();
  const subcommands = help.visibleCommands(command);
  const node = {
    ...{ path: path.join(' '), description: command.description(), subcommands },
    choices: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
    options: help.visibleOptions(command),
  };
  return [node, ...subcommands.flatMap((each) => nodesBelow(each, [...path, each.name()]))];
}

function bashScript(nodes: readonly Node[]): string {
  const quoted = (words: readonly string[]): string => `'${words.join(' ')}'`;
  const flags = ({ long, short }: Option): string[] => [long, short].filter((flag) => flag !== undefined);
  const paths = nodes.slice(1).map(({ path }) => `'${path}'`);
  const values = nodes.flatMap(({ path, options }) =>
    options.filter(takesValue).map((option) => {
      const patterns = flags(option).map((flag) => `'${path} ${flag}'`);
      return `    ${patterns.join(' | ')}) words=${quoted(valuesOf(option))} ;;`;
    }),
  );
  const names = nodes.map(
    ({ path, subcommands, choices, options }) =>
      `    '${path}') words=${quoted([...subcommands.map((each) => each.name()), ...choices, ...options.flatMap(flags)])} ;;`,
  );
  return `_ghostcard() {
  local word=\${COMP_WORDS[COMP_CWORD]} path='' words='' at
  for ((at = 1; at < COMP_CWORD; at++)); do
    [ "\${COMP_WORDS[at]}" = -- ] && return
    case "\${path:+$path }\${COMP_WORDS[at]}" in
    ${paths.join(' | ')}) path="\${path:+$path }\${COMP_WORDS[at]}" ;;
    esac
  done
  case "$path \${COMP_WORDS[COMP_CWORD - 1]}" in
${values.join('\n')}
    *)
    case "$path" in
${names.join('\n')}
    esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _ghostcard ghostcard`;
}

function fishScript(nodes: readonly Node[]): string {
  const quoted = (text: string): string => `'${text.replaceAll(/[\\']/g, '\\$&')}'`;
  const lines = nodes.flatMap(({ path, subcommands, choices, options }) => {
    const seen = path
      .split(' ')
      .filter(Boolean)
      .map((name) => `__fish_seen_subcommand_from ${name}`);
    const names = subcommands.map((each) => each.name());
    const none = names.length > 0 ? [`not __fish_seen_subcommand_from ${names.join(' ')}`] : [];
    const condition = quoted([...seen, ...none].join('; and ') || 'true');
    return [
      ...choices.map((choice) => `complete -c ghostcard -f -n ${condition} -a ${choice}`),
      ...subcommands.map(
        (each) => `complete -c ghostcard -f -n ${condition} -a ${each.name()} -d ${quoted(each.description())}`,
      ),
      ...options.map((option) => {
        const { long, short, description } = option;
        const flags = [long && `-l ${long.slice(2)}`, short && `-s ${short.slice(1)}`].filter(Boolean).join(' ');
        const values = valuesOf(option).join(' ');
        const value = takesValue(option) ? ` -r${values && ` -a '${values}'`}` : '';
        return `complete -c ghostcard -n ${condition} ${flags}${value} -d ${quoted(description)}`;
      }),
    ];
  });
  return lines.join('\n');
}
