// What one service discovery mechanism adds to the configuration: the key of its section, the table of its keys, and its options.
import type { DiscoveryConfig, DiscoveryKind } from '../../discovery/options.ts'
import type { HttpClientOptions } from '../../model/http-options.ts'
import { checkHttpClient, httpClientFields, toHttpClientOptions } from '../http-client.ts'
import type { HttpClientValue } from '../http-client.ts'
import { always, list, struct, text } from '../schema.ts'
import type { Fields, FieldsValue, Report, Schema } from '../schema.ts'

export type DiscoverySection = Readonly<{
  kind: DiscoveryKind
  /** `consul_sd_configs` */
  key: string
  list: Schema<readonly object[]>
  /** What the sections of one list ask for. */
  toOptions(values: readonly object[]): DiscoveryConfig[]
}>

/** Go types that are not just SDConfig, for messages. */
const goNames: Readonly<Partial<Record<DiscoveryKind, string>>> = {
  ec2: 'EC2SDConfig',
  lightsail: 'LightsailSDConfig',
  ecs: 'ECSSDConfig',
  msk: 'MSKSDConfig',
  elasticache: 'ElasticacheSDConfig',
  rds: 'RDSSDConfig',
  docker: 'DockerSDConfig',
  dockerswarm: 'DockerSwarmSDConfig',
  kuma: 'KumaSDConfig',
  serverset: 'ServersetSDConfig',
  nerve: 'NerveSDConfig',
}

/** A mechanism whose section is `<kind>_sd_configs`, a list of maps. `typeName` as upstream's messages have it. */
export function discoverySection<F extends Fields>(
  kind: DiscoveryKind,
  typeName: string,
  fields: F,
  check: (value: FieldsValue<F>, report: Report) => FieldsValue<F> | void,
  toOptions: (value: FieldsValue<F>) => DiscoveryConfig,
): DiscoverySection {
  const key = `${kind}_sd_configs`
  const schema = struct(typeName, fields, { check })
  return {
    kind,
    key,
    list: list(schema, `[]*${typeName.split('.')[0]}.${goNames[kind] ?? 'SDConfig'}`, `empty or null section in ${key}`),
    toOptions: (values) => values.map((value) => Object.freeze(toOptions(value as FieldsValue<F>))),
  }
}

/** The same with the HTTP client's keys, which upstream writes in the middle of some sections: give the keys before and after them. */
export function withHttp<A extends Fields, B extends Fields>(before: A, after: B): A & ReturnType<typeof httpClientFields> & B {
  return { ...before, ...httpClientFields(), ...after }
}

export { checkHttpClient }

type Camel<S extends string> = S extends `${infer A}_${infer B}` ? `${A}${Capitalize<Camel<B>>}` : S
type OptionName<S extends string> = S extends 'refresh_interval' | 'timeout' | 'fetch_timeout' ? `${Camel<S>}Ms` : Camel<S>
type Options<V> = { readonly [K in Exclude<keyof V, keyof HttpClientValue> as OptionName<K & string>]: V[K] }

const durations = new Set(['refresh_interval', 'timeout', 'fetch_timeout'])
const httpKeys = new Set(Object.keys(httpClientFields()))

/** The values under the names the program uses: `refresh_interval` is `refreshIntervalMs`. The HTTP client's keys are left out. */
export function options<V extends object>(value: V): Options<V> {
  const entries = Object.entries(value).filter(([key]) => !httpKeys.has(key))
  return Object.fromEntries(entries.map(([key, entry]) => [camelName(key) + (durations.has(key) ? 'Ms' : ''), entry])) as Options<V>
}

/** The same, with the HTTP client's keys as `http`. */
export function optionsWithHttp<V extends HttpClientValue>(value: V): Options<V> & { readonly http: HttpClientOptions } {
  return { ...options(value), http: toHttpClientOptions(value) }
}

function camelName(key: string): string {
  return key.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())
}

/** `filters: [{name, values}]` */
export function nameValues(typeName: string) {
  return struct(typeName, { name: always(text()), values: always(list(text())) })
}
