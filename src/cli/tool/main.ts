// `promhive tool`: promtool's verbs, flags and exit codes (0 good, 1 failed, 3 lint findings) on one command tree.
// A verb's module is loaded when it runs, so that one verb costs nothing to the others.
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { messageOf, PromhiveError } from '../../base/errors.ts'
import { readGoDuration } from '../../config/quantity.ts'
import { parseDuration } from '../../model/duration.ts'
import type { MatchKind } from '../../model/matcher.ts'
import type { PromqlFeatures } from '../../promql/ast.ts'
import { promqlFeatures } from '../../promql/features.ts'
import { buildInfo } from '../serve/build-info.ts'
import { exitCodes } from './check-io.ts'
import type { QueryFormat, QueryRequest } from './query.ts'
import { toolIo, type ToolIo } from './tool-io.ts'

const knownFeatures: ReadonlySet<string> = new Set([
  'promql-experimental-functions', 'promql-delayed-name-removal', 'promql-duration-expr', 'promql-extended-range-selectors',
  'promql-binop-fill-modifiers',
]) // prettier-ignore

/** Runs one command line, `tool` itself left out. @returns the exit code. */
export async function tool(argv: readonly string[]): Promise<number> {
  const io = toolIo()
  let exitCode: number = exitCodes.success
  try {
    const program = commands(io, (code) => (exitCode = code))
    await program.parseAsync(argv, { from: 'user' })
    return exitCode
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode
    // a file that cannot be read or written is nobody's bug
    if (!(thrown instanceof PromhiveError) && !(thrown instanceof Error && 'syscall' in thrown)) throw thrown
    io.printError(messageOf(thrown))
    return exitCodes.failure
  } finally {
    io.flush()
  }
}

type Run = (...args: never[]) => Promise<number> | number

function commands(io: ToolIo, ended: (code: number) => void): Command {
  const program = new Command('promhive tool')
    .description("promtool's verbs: check and test what a Prometheus is configured with, ask it, and look into its data.")
    .version(`promhive tool, version ${buildInfo.version} (node ${process.version})`, '--version')
    .helpCommand(false)
    .exitOverride()
    .showHelpAfterError('Try --help.')
    .showSuggestionAfterError(true)
    .addOption(
      new Option('--enable-feature <names>', `PromQL behind flags, by name: ${[...knownFeatures].join(', ')}`)
        .argParser(gather)
        .default([], 'none'),
    ) // prettier-ignore
    .option('--experimental', 'allow experimental commands', false)
  /** A command whose action answers with the exit code. */
  const verb = (parent: Command, usage: string, about: string, run: Run): Command =>
    parent
      .command(usage)
      .description(about)
      .action(async (...args: unknown[]) => ended(await (run as (...args: unknown[]) => Promise<number> | number)(...args)))
  const group = (parent: Command, name: string, about: string): Command => parent.command(name).description(about).helpCommand(false)
  const features = (): PromqlFeatures => featuresOf(program.opts<{ enableFeature: readonly string[] }>().enableFeature, io)

  checkCommands(group(program, 'check', 'Checks files and servers.'), verb, features, io)
  queryCommands(group(program, 'query', 'Asks a Prometheus server.'), verb, io)
  debugCommands(group(program, 'debug', 'Fetches what a server tells of itself into debug.tar.gz.'), verb, io)
  pushCommands(group(program, 'push', 'Writes to a server.'), verb, io)
  testCommands(group(program, 'test', 'Unit tests.'), verb, features, io)
  tsdbCommands(group(program, 'tsdb', 'Looks into data directories and fills them.'), verb, group, features, io)
  promqlCommands(group(program, 'promql', 'Formats and edits PromQL (needs --experimental).'), verb, group, features, program, io)
  return program
}

type Verb = (parent: Command, usage: string, about: string, run: Run) => Command
type Group = (parent: Command, name: string, about: string) => Command

const httpConfigHelp = 'file with HTTP client settings (basic_auth, authorization, oauth2, tls_config, …)'

function checkCommands(check: Command, verb: Verb, features: () => PromqlFeatures, io: ToolIo): void {
  check.option('--query.lookback-delta <duration>', "the server's lookback", readDuration, 300_000)
  verb(check, 'config <files...>', 'Checks configuration files and what they name.', async (files: string[], flags: CheckFlags) => {
    const { checkConfig } = await import('./check-config.ts')
    const lookbackDeltaMs = check.opts<Record<string, number>>()['query.lookbackDelta']!
    return checkConfig(files, { ...flags, lookbackDeltaMs, features: features() }, io)
  })
    .option('--syntax-only', 'look at nothing the configuration names', false)
    .option('--lint <names>', 'all, none, duplicate-rules, too-long-scrape-interval, with commas between', 'duplicate-rules')
    .option('--lint-fatal', 'exit with 3 on lint findings', false)
    .option('--ignore-unknown-fields', 'unknown keys in rule files are no error', false)
    .option('--agent', 'check for agent mode', false)
  verb(check, 'rules [files...]', 'Checks rule files, or standard input.', async (files: string[], flags: CheckFlags) => {
    const { checkRules } = await import('./check-rules.ts')
    return checkRules(files, { ...flags, features: features() }, io)
  })
    .option('--lint <names>', 'all, none, duplicate-rules, with commas between', 'duplicate-rules')
    .option('--lint-fatal', 'exit with 3 on lint findings', false)
    .option('--ignore-unknown-fields', 'unknown keys are no error', false)
  verb(check, 'web-config <files...>', 'Checks web configuration files.', async (files: string[]) => {
    const { checkWebConfig } = await import('./check-web-config.ts')
    return checkWebConfig(files, io)
  })
  verb(check, 'metrics', 'Checks an exposition on standard input: `curl -s http://host:9100/metrics | promhive tool check metrics`.', async (flags: MetricsFlags) => {
    const { checkMetrics } = await import('./check-metrics.ts')
    return checkMetrics(flags, io)
  }) // prettier-ignore
    .option('--extended', 'print how many series each metric has', false)
    .addOption(new Option('--lint <names>', 'what to look for').choices(['all', 'none']).default('all'))
    .addOption(new Option('--format <format>', 'what is read').choices(['auto', 'text', 'openmetrics']).default('auto'))
  verb(check, 'service-discovery <file> <job>', 'Shows what a job of a configuration discovers, and what relabelling makes of it.', async (file: string, jobName: string, flags: { timeout: number }) => {
    const [{ checkServiceDiscovery }, { discoveryPorts }] = await Promise.all([import('./check-service-discovery.ts'), import('./tool-io.ts')])
    return checkServiceDiscovery({ configFile: file, jobName, timeoutMs: flags.timeout }, io, discoveryPorts())
  }) // prettier-ignore
    .option('--timeout <duration>', 'how long to wait for answers', readDuration, 30_000)
  for (const what of ['healthy', 'ready'] as const) {
    verb(check, what, `Asks a server whether it is ${what}.`, async (flags: { url: string; 'http.config.file': string }) => {
      const [{ checkServer }, { toolPorts }] = await Promise.all([import('./check-server.ts'), import('./tool-io.ts')])
      return checkServer(what, { url: flags.url, httpConfigFile: flags['http.config.file'] }, io, toolPorts.http)
    })
      .option('--url <url>', 'the server', 'http://localhost:9090')
      .option('--http.config.file <file>', httpConfigHelp, '')
  }
}
type CheckFlags = { syntaxOnly: boolean; lint: string; lintFatal: boolean; ignoreUnknownFields: boolean; agent: boolean }
type MetricsFlags = { extended: boolean; lint: 'all' | 'none'; format: 'auto' | 'text' | 'openmetrics' }

function queryCommands(parent: Command, verb: Verb, io: ToolIo): void {
  parent
    .addOption(new Option('-o, --format <format>', 'how the answer is printed').choices(['promql', 'json']).default('promql'))
    .option('--http.config.file <file>', httpConfigHelp, '')
  const run = async (url: string, request: QueryRequest, headers: Record<string, string> = {}): Promise<number> => {
    const [{ query }, { toolPorts }] = await Promise.all([import('./query.ts'), import('./tool-io.ts')])
    const flags = parent.opts<{ format: QueryFormat; 'http.config.file': string }>()
    const server = { url, httpConfigFile: flags['http.config.file'], headers }
    return query(server, request, flags.format, { ...io, http: toolPorts.http, nowMs: () => toolPorts.clock.nowMs() })
  }
  const header = (): Option =>
    new Option('--header <key=value>', 'sent with the request, repeatable').argParser(gatherPairs).default({}, 'none')
  const times = (command: Command): Command =>
    command.option('--start <time>', 'RFC 3339 or Unix seconds', '').option('--end <time>', 'RFC 3339 or Unix seconds', '')
  verb(parent, 'instant <server> <expr>', 'Evaluates at one time.', (url: string, expr: string, flags: { time: string; header: Record<string, string> }) =>
    run(url, { kind: 'instant', expr, time: flags.time }, flags.header)) // prettier-ignore
    .option('--time <time>', 'RFC 3339 or Unix seconds, default now', '')
    .addOption(header())
  times(
    verb(parent, 'range <server> <expr>', 'Evaluates over a range.', (url: string, expr: string, flags: RangeFlags & { header: Record<string, string> }) =>
      run(url, { kind: 'range', expr, start: flags.start, end: flags.end, stepMs: flags.step }, flags.header)) // prettier-ignore
      .option('--step <duration>', 'default: a 250th of the range', readDuration, 0)
      .addOption(header()),
  )
  times(
    verb(parent, 'series <server>', 'Finds series.', (url: string, flags: RangeFlags) =>
      run(url, { kind: 'series', match: flags.match, start: flags.start, end: flags.end }),
    ).addOption(new Option('--match <selector>', 'repeatable').argParser(gather).makeOptionMandatory()),
  )
  times(
    verb(parent, 'labels <server> <name>', 'Lists the values of a label.', (url: string, name: string, flags: RangeFlags) =>
      run(url, { kind: 'labels', name, match: flags.match, start: flags.start, end: flags.end }),
    ).addOption(new Option('--match <selector>', 'repeatable').argParser(gather).default([], 'all series')),
  )
  verb(parent, 'analyze', 'Shows how many buckets of histograms are populated.', async (flags: AnalyzeQueryFlags) => {
    const [{ analyzeQuery }, { toolPorts }, { printDuration }] = await Promise.all([
      import('./query-analyze.ts'),
      import('./tool-io.ts'),
      import('../../model/duration.ts'),
    ])
    const server = { url: flags.server, httpConfigFile: parent.opts<{ 'http.config.file': string }>()['http.config.file'], headers: {} }
    const options = { ...flags, duration: printDuration(flags.duration) }
    return analyzeQuery(server, options, { ...io, http: toolPorts.http, nowMs: () => toolPorts.clock.nowMs() })
  })
    .requiredOption('--server <url>', 'the server to ask')
    .requiredOption('--type <type>', 'of the metrics: histogram')
    .option('--duration <duration>', 'how far back', readDuration, 3_600_000)
    .option('--time <time>', 'RFC 3339 or Unix seconds, default now', '')
    .addOption(new Option('--match <selector>', 'repeatable').argParser(gather).makeOptionMandatory())
}
type AnalyzeQueryFlags = { server: string; type: string; duration: number; time: string; match: string[] }
type RangeFlags = { start: string; end: string; step: number; match: string[] }

function debugCommands(parent: Command, verb: Verb, io: ToolIo): void {
  const abouts = { pprof: 'Fetches profiles.', metrics: "Fetches the server's own metrics.", all: 'Fetches all of it.' } as const
  for (const subject of ['pprof', 'metrics', 'all'] as const) {
    verb(parent, `${subject} <server>`, abouts[subject], async (server: string) => {
      const [{ debug }, { toolPorts }, { writeFileSync }] = await Promise.all([
        import('./debug.ts'),
        import('./tool-io.ts'),
        import('node:fs'),
      ])
      return debug(subject, server, { ...io, http: toolPorts.http, write: (name, bytes) => writeFileSync(name, bytes) })
    })
  }
}

function pushCommands(parent: Command, verb: Verb, io: ToolIo): void {
  parent.option('--http.config.file <file>', httpConfigHelp, '')
  const about = 'Pushes text expositions, of files or of standard input, by remote write.'
  verb(parent, 'metrics <url> [files...]', about, async (url: string, files: string[], flags: PushFlags) => {
    const [{ pushMetrics }, { toolPorts }, { readFileSync }] = await Promise.all([
      import('./push-metrics.ts'),
      import('./tool-io.ts'),
      import('node:fs'),
    ])
    const { timeout: timeoutMs, label, header: headers, protobuf_message: protobufMessage } = flags
    const labels = Object.keys(label).length === 0 ? { job: 'promtool' } : label
    const httpConfigFile = parent.opts<{ 'http.config.file': string }>()['http.config.file']
    const options = { url, path: flags['remoteWrite.path'], protobufMessage, labels, headers, timeoutMs, httpConfigFile }
    // the clock's timers do not keep a process
    const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
    const { http, clock } = toolPorts
    return pushMetrics(files, options, { ...io, readBytes: (path) => readFileSync(path), http, nowMs: () => clock.nowMs(), sleep })
  })
    .addOption(new Option('--label <name=value>', 'set on every series, repeatable').argParser(gatherPairs).default({}, 'job=promtool'))
    .option('--timeout <duration>', 'how long a request may take', readDuration, 30_000)
    .addOption(new Option('--header <key=value>', 'sent with the request, repeatable').argParser(gatherPairs).default({}, 'none'))
    .option('--protobuf_message <name>', 'prometheus.WriteRequest or io.prometheus.write.v2.Request', 'prometheus.WriteRequest')
    .option('--remote-write.path <path>', 'of the API, behind the path of the URL', '/api/v1/write')
}
type PushFlags = {
  label: Record<string, string>
  timeout: number
  header: Record<string, string>
  protobuf_message: string
  'remoteWrite.path': string
}

function testCommands(test: Command, verb: Verb, features: () => PromqlFeatures, io: ToolIo): void {
  test.option('--junit <file>', 'write the results as JUnit XML too')
  verb(test, 'rules <files...>', 'Runs unit tests of rules.', async (files: string[], flags: TestFlags) => {
    const [{ testRules }, { toolPorts }, { writeFileSync }] = await Promise.all([
      import('./test-rules.ts'),
      import('./tool-io.ts'),
      import('node:fs'),
    ])
    const { junit } = test.opts<{ junit?: string }>()
    const { clock } = toolPorts
    return testRules(
      files,
      {
        ...flags,
        features: features(),
        junit: junit === undefined ? null : (xml) => writeFileSync(junit, xml),
        nowMs: () => clock.nowMs(),
        monotonicMs: () => clock.monotonicMs(),
      },
      io,
    )
  })
    .addOption(new Option('--run <pattern>', 'only test groups whose name matches, repeatable').argParser(gather).default([], 'all'))
    .option('--debug', 'print what is evaluated', false)
    .option('--diff', 'print differences line by line', false)
    .option('--ignore-unknown-fields', 'unknown keys are no error', false)
  verb(test, 'promql <files...>', 'Runs scripts in the promqltest language.', async (files: string[], flags: { json: boolean }) => {
    const { testPromql } = await import('./test-promql.ts')
    return testPromql(files, flags, io.print)
  }).option('--json', 'print one JSON object', false)
}
type TestFlags = { run: string[]; debug: boolean; diff: boolean; ignoreUnknownFields: boolean }

function tsdbCommands(tsdb: Command, verb: Verb, group: Group, features: () => PromqlFeatures, io: ToolIo): void {
  const path = 'data/'
  verb(tsdb, 'list', 'Lists blocks.', async (directory: string | undefined, flags: { humanReadable: boolean }) => {
    const [{ listBlocks }, { toolPorts }] = await Promise.all([import('./tsdb-list.ts'), import('./tool-io.ts')])
    listBlocks(toolPorts.disk, directory ?? path, flags, io.print)
    return exitCodes.success
  })
    .argument('[directory]', `default ${path}`)
    .option('-r, --human-readable', 'times and sizes for people', false)
  verb(tsdb, 'analyze', 'Shows churn, cardinality and how well chunks are filled.', async (directory: string | undefined, blockId: string | undefined, flags: AnalyzeFlags) => {
    const [{ analyzeTsdb }, { toolPorts }] = await Promise.all([import('./tsdb-analyze.ts'), import('./tool-io.ts')])
    analyzeTsdb(toolPorts.disk, directory ?? path, { ...flags, blockId: blockId ?? '' }, io.print)
    return exitCodes.success
  }) // prettier-ignore
    .argument('[directory]', `default ${path}`)
    .argument('[block]', 'default: the last one')
    .option('--limit <count>', 'items in each list', readInteger, 20)
    .option('--extended', 'look into the chunks', false)
    .option('--match <selector>', 'only series that match', '')
  for (const name of ['dump', 'dump-openmetrics'] as const) {
    const command = verb(
      tsdb,
      name,
      name === 'dump' ? 'Prints samples.' : 'Prints samples as OpenMetrics, without native histograms and stale markers.',
      async (directory: string | undefined, flags: DumpFlags) => {
        const [{ dumpTsdb, dumpOpenMetrics }, { toolPorts }, { decompressors }] = await Promise.all([
          import('./tsdb-dump.ts'),
          import('./tool-io.ts'),
          import('../decompressors.ts'),
        ])
        const options = { minTimeMs: flags.minTime, maxTimeMs: flags.maxTime, match: flags.match }
        const { disk } = toolPorts
        if (name === 'dump')
          await dumpTsdb(disk, directory ?? path, { ...options, format: flags.format }, decompressors, io.print, io.printError)
        else await dumpOpenMetrics(disk, directory ?? path, options, decompressors, io.print, io.printError)
        return exitCodes.success
      },
    )
      .argument('[directory]', `default ${path}`)
      .option('--min-time <ms>', 'Unix milliseconds', readInteger, -Infinity)
      .option('--max-time <ms>', 'Unix milliseconds', readInteger, Infinity)
      .addOption(new Option('--match <selector>', 'repeatable').argParser(gather).default([], 'all series'))
      .addOption(new Option('--sandbox-dir-root <directory>', 'taken and not needed: nothing is written').hideHelp())
    if (name === 'dump')
      command.addOption(new Option('--format <format>', 'what is printed').choices(['prom', 'seriesjson']).default('prom'))
  }
  const bench = group(tsdb, 'bench', 'Measures the storage.')
  verb(bench, 'write', 'Writes simulated scrapes into a storage of its own.', async (file: string | undefined, flags: BenchFlags) => {
    const [{ benchWrite }, { openBenchStorage }, { toolPorts }] = await Promise.all([
      import('./tsdb-bench.ts'),
      import('./bench-storage.ts'),
      import('./tool-io.ts'),
    ])
    await benchWrite(
      { metrics: flags.metrics, scrapes: flags.scrapes },
      {
        print: (line) => {
          io.print(line)
          io.flush()
        },
        monotonicMs: () => toolPorts.clock.monotonicMs(),
        read: () => io.readFile(file ?? benchSeriesFile),
        open: () => openBenchStorage(flags.out),
      },
    )
    return exitCodes.success
  })
    .argument('[file]', `series, one a line as JSON, default ${benchSeriesFile}`)
    .option('--out <directory>', 'where the storage is made; what an earlier run left in it goes', 'benchout')
    .option('--metrics <count>', 'series to read', readInteger, 10_000)
    .option('--scrapes <count>', 'scrapes to simulate', readInteger, 3_000)
  const create = group(tsdb, 'create-blocks-from', 'Makes blocks of samples from elsewhere.')
    .option('-r, --human-readable', 'times and sizes for people', false)
    .option('-q, --quiet', 'do not print the blocks', false)
    .addOption(new Option('--max-block-duration <duration>').argParser(readDuration).default(0).hideHelp())
  const shared = (): CreateFlags => {
    const { humanReadable, quiet, maxBlockDuration } = create.opts<{ humanReadable: boolean; quiet: boolean; maxBlockDuration: number }>()
    return { humanReadable, quiet, maxBlockMs: maxBlockDuration }
  }
  verb(create, 'openmetrics <file>', 'Reads an OpenMetrics text.', async (file: string, directory: string | undefined, flags: { label: string[] }) => {
    const [{ createBlocksFromOpenMetrics, readLabelFlag }, { toolPorts, newUlid, progressOf, textFile }] = await Promise.all([
      import('./tsdb-create-blocks.ts'),
      import('./tool-io.ts'),
    ])
    const { disk } = toolPorts
    const options = { ...shared(), outputDirectory: directory ?? path, labels: flags.label.map(readLabelFlag) }
    createBlocksFromOpenMetrics(textFile(file), options, { disk, newUlid, print: io.print, progress: progressOf(io) })
    return exitCodes.success
  }) // prettier-ignore
    .argument('[directory]', `where the blocks go, default ${path}`)
    .addOption(new Option('--label <name=value>', 'set on every series, repeatable').argParser(gather).default([], 'none'))
  verb(create, 'rules <files...>', 'Evaluates recording rules over the past, on a server.', async (files: string[], flags: CreateRulesFlags) => {
    const { createFromRules } = await import('./create-from-rules.ts')
    return createFromRules(files, { ...shared(), ...flags, httpConfigFile: flags['http.config.file'], features: features() }, io)
  }) // prettier-ignore
    .option('--url <url>', 'the server that has the data', 'http://localhost:9090')
    .option('--http.config.file <file>', httpConfigHelp, '')
    .requiredOption('--start <time>', 'RFC 3339 or Unix seconds')
    .option('--end <time>', 'RFC 3339 or Unix seconds, default three hours ago', '')
    .option('--output-dir <directory>', 'where the blocks go', path)
    .option('--eval-interval <duration>', 'for groups without an interval', readDuration, 60_000)
}
const benchSeriesFile = '../../tsdb/testdata/20kseries.json'
type BenchFlags = { out: string; metrics: number; scrapes: number }
type AnalyzeFlags = { limit: number; extended: boolean; match: string }
type DumpFlags = { minTime: number; maxTime: number; match: string[]; format: 'prom' | 'seriesjson' }
type CreateFlags = { humanReadable: boolean; quiet: boolean; maxBlockMs: number }
type CreateRulesFlags = { url: string; start: string; end: string; outputDir: string; evalInterval: number; 'http.config.file': string }

function promqlCommands(promql: Command, verb: Verb, group: Group, features: () => PromqlFeatures, program: Command, io: ToolIo): void {
  const edit = async (text: string, change: 'format' | 'set' | 'delete', name = '', kind: MatchKind = '=', value = ''): Promise<number> => {
    if (!program.opts<{ experimental: boolean }>().experimental) {
      io.printError('This command is experimental and requires the --experimental flag to be set.')
      return exitCodes.failure
    }
    const [{ parseExpr, printProblem }, { prettyExpr }, { deleteMatchers, setMatcher }] = await Promise.all([
      import('../../promql/parse.ts'),
      import('../../promql/pretty.ts'),
      import('../../promql/parse-edit.ts'),
    ])
    const { expr, problems } = parseExpr(text, features())
    if (expr === null || problems.length > 0) throw new PromhiveError('PROMQL_PARSE', printProblem(text, problems[0]!))
    io.print(
      prettyExpr(change === 'format' ? expr : change === 'set' ? setMatcher(expr, { name, kind, value }) : deleteMatchers(expr, name)),
    )
    return exitCodes.success
  }
  verb(promql, 'format <query>', 'Prints a query in its pretty form.', (text: string) => edit(text, 'format'))
  const matchers = group(promql, 'label-matchers', 'Edits the label matchers of a query.')
  verb(matchers, 'set <query> <name> <value>', 'Sets a matcher in every selector.', (text: string, name: string, value: string, flags: { type: MatchKind }) =>
    edit(text, 'set', name, flags.type, value)) // prettier-ignore
    .addOption(new Option('-t, --type <type>', 'how it matches').choices(['=', '!=', '=~', '!~']).default('='))
  verb(matchers, 'delete <query> <name>', 'Takes the matchers of a label out of every selector.', (text: string, name: string) =>
    edit(text, 'delete', name),
  )
}

function featuresOf(given: readonly string[], io: ToolIo): PromqlFeatures {
  const names = given.flatMap((part) => part.split(',')).filter((name) => name !== '')
  for (const name of names) if (!knownFeatures.has(name)) io.print(`  WARNING: Unknown feature passed to --enable-feature: ${name}`)
  return promqlFeatures(names)
}

function gather(text: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), text]
}

function gatherPairs(text: string, before: Readonly<Record<string, string>>): Record<string, string> {
  const at = text.indexOf('=')
  if (at <= 0) throw new InvalidArgumentError(`expected KEY=VALUE got '${text}'`)
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}

/** Go's durations, and Prometheus' for days and more. Milliseconds. */
function readDuration(text: string): number {
  const go = readGoDuration(text)
  if (typeof go === 'number') return go
  const { ms, problem } = parseDuration(text)
  if (problem !== null) throw new InvalidArgumentError(go.problem)
  return ms
}

function readInteger(text: string): number {
  if (!/^[-+]?\d+$/.test(text)) throw new InvalidArgumentError(`expected a whole number, got '${text}'`)
  return Number(text)
}
