// A small validator for the part of JSON Schema that OpenAPI documents of this project use.
type Schema = Readonly<{
  $ref?: string
  type?: string | readonly string[]
  properties?: Readonly<Record<string, Schema>>
  required?: readonly string[]
  additionalProperties?: boolean | Schema
  items?: Schema
  enum?: readonly unknown[]
  oneOf?: readonly Schema[]
  anyOf?: readonly Schema[]
  allOf?: readonly Schema[]
  format?: string
  minItems?: number
  maxItems?: number
  prefixItems?: readonly Schema[]
}>
export type OpenApi = Readonly<{
  paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  components: Readonly<{ schemas: Readonly<Record<string, Schema>> }>
}>
export type Operation = Readonly<{
  parameters?: readonly Readonly<{
    name: string
    in: string
    required?: boolean
    examples?: Readonly<Record<string, { value: unknown }>>
  }>[]
  responses: Readonly<
    Record<
      string,
      Readonly<{ content?: Readonly<Record<string, { schema?: Schema; examples?: Readonly<Record<string, { value: unknown }>> }>> }>
    >
  >
}>

/** What is wrong with a value, each with its path; [] where nothing is. */
export function schemaProblems(document: OpenApi, schema: Schema, value: unknown, path = '$'): string[] {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.replace('#/components/schemas/', '')
    const found = document.components.schemas[name]
    return found === undefined ? [`${path}: no schema ${name}`] : schemaProblems(document, found, value, path)
  }
  const problems: string[] = []
  for (const part of schema.allOf ?? []) problems.push(...schemaProblems(document, part, value, path))
  for (const choices of [schema.oneOf, schema.anyOf]) {
    if (choices === undefined) continue
    const tries = choices.map((choice) => schemaProblems(document, choice, value, path))
    if (!tries.some((found) => found.length === 0))
      problems.push(`${path}: fits none of ${choices.length} forms (${tries.map((t) => t[0]).join(' | ')})`)
  }
  if (schema.enum !== undefined && !schema.enum.includes(value))
    problems.push(`${path}: ${JSON.stringify(value)} is none of ${JSON.stringify(schema.enum)}`)
  const types = schema.type === undefined ? [] : typeof schema.type === 'string' ? [schema.type] : schema.type
  if (types.length > 0 && !types.some((type) => isOf(type, value)))
    return [...problems, `${path}: ${typeof value} where ${types.join(' or ')} is wanted`]
  if (Array.isArray(value)) {
    if (schema.minItems !== undefined && value.length < schema.minItems)
      problems.push(`${path}: ${value.length} items, at least ${schema.minItems}`)
    if (schema.maxItems !== undefined && value.length > schema.maxItems)
      problems.push(`${path}: ${value.length} items, at most ${schema.maxItems}`)
    value.forEach((item, i) => {
      const own = schema.prefixItems?.[i] ?? schema.items
      if (own !== undefined) problems.push(...schemaProblems(document, own, item, `${path}[${i}]`))
    })
  } else if (typeof value === 'object' && value !== null) {
    const object = value as Record<string, unknown>
    for (const name of schema.required ?? []) if (!Object.hasOwn(object, name)) problems.push(`${path}: ${name} is missing`)
    for (const [name, item] of Object.entries(object)) {
      const own = schema.properties?.[name]
      if (own !== undefined) problems.push(...schemaProblems(document, own, item, `${path}.${name}`))
      else if (schema.additionalProperties === false) problems.push(`${path}: ${name} is not known`)
      else if (typeof schema.additionalProperties === 'object')
        problems.push(...schemaProblems(document, schema.additionalProperties, item, `${path}.${name}`))
    }
  } else if (typeof value === 'string' && schema.format === 'date-time' && Number.isNaN(Date.parse(value)))
    problems.push(`${path}: ${value} is no time`)
  return problems
}

function isOf(type: string, value: unknown): boolean {
  if (type === 'array') return Array.isArray(value)
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value)
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'null') return value === null
  return typeof value === type
}
