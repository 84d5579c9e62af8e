// kubernetes_sd_configs (FEATURES 2.07). Source: prometheus discovery/kubernetes.
import { kubernetesRoles } from '../../discovery/options.ts'
import type { KubernetesRole } from '../../discovery/options.ts'
import { quote } from '../../model/labels.ts'
import { isDefaultHttpClient } from '../http-client.ts'
import { always, bool, field, filePath, list, oneOf, struct, text, url } from '../schema.ts'
import { checkHttpClient, discoverySection, optionsWithHttp, withHttp } from './kind.ts'

const role = oneOf(kubernetesRoles, (name) => `unknown Kubernetes SD role ${quote(name)}`)

const allowedSelectors: Readonly<Record<KubernetesRole, readonly string[]>> = {
  pod: ['pod', 'node'],
  service: ['service'],
  endpointslice: ['pod', 'service', 'endpointslice'],
  endpoints: ['pod', 'service', 'endpoints'],
  node: ['node'],
  ingress: ['ingress'],
}

export const kubernetesDiscovery = discoverySection(
  'kubernetes',
  'kubernetes.plain',
  withHttp(
    { api_server: field(url()), role: always(role), kubeconfig_file: always(filePath()) },
    {
      namespaces: field(struct('kubernetes.plain', { own_namespace: always(bool()), names: always(list(text())) })),
      selectors: field(list(struct('kubernetes.SelectorConfig', { role: field(role), label: field(text()), field: field(text()) }))),
      attach_metadata: field(
        struct('kubernetes.AttachMetadataConfig', {
          node: always(bool()),
          namespace: always(bool()),
          deployment: always(bool()),
          job: always(bool()),
          cronjob: always(bool()),
        }),
      ),
    },
  ),
  (written, report) => {
    if (written.role === '') report('role', 'role missing (one of: pod, service, endpoints, endpointslice, node, ingress)')
    const value = checkHttpClient(written, report)
    const hasServer = value.api_server !== ''
    const hasKubeconfig = value.kubeconfig_file !== ''
    if (hasServer && hasKubeconfig) report('kubeconfig_file', "cannot use 'kubeconfig_file' and 'api_server' simultaneously")
    if (!isDefaultHttpClient(value)) {
      if (hasKubeconfig) report(null, "cannot use a custom HTTP client configuration together with 'kubeconfig_file'")
      else if (!hasServer) report(null, "to use custom HTTP client configuration please provide the 'api_server' URL explicitly")
    }
    if (value.namespaces.own_namespace) {
      if (hasServer) report(['namespaces', 'own_namespace'], "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously")
      if (hasKubeconfig)
        report(['namespaces', 'own_namespace'], "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously")
    }
    const seen = new Set<string>()
    for (const [i, selector] of value.selectors.entries()) {
      if (seen.has(selector.role)) report(['selectors', i, 'role'], `duplicated selector role: ${selector.role}`)
      seen.add(selector.role)
      if (value.role !== '' && !allowedSelectors[value.role].includes(selector.role)) {
        report(['selectors', i, 'role'], `${value.role} role supports only ${allowedSelectors[value.role].join(', ')} selectors`)
      }
      const why = fieldSelectorProblem(selector.field) ?? labelSelectorProblem(selector.label)
      if (why !== null) report(['selectors', i], why)
    }
    return value
  },
  (value) => {
    const { kubeconfigFile, apiServer, role, http, ...rest } = optionsWithHttp(value)
    return {
      kind: 'kubernetes',
      apiServer,
      role: role as KubernetesRole,
      kubeconfigFile,
      http,
      namespaces: { ownNamespace: rest.namespaces.own_namespace, names: rest.namespaces.names },
      selectors: rest.selectors.map((selector) => ({ ...selector, role: selector.role as KubernetesRole })),
      attachMetadata: rest.attachMetadata,
    }
  },
)

/** `a=b,c!=d`; values may hold escaped signs. @see k8s.io/apimachinery fields.ParseSelector */
function fieldSelectorProblem(selector: string): string | null {
  for (const term of selector.match(/(?:\\.|[^,\\])+/gs) ?? []) {
    const sign = /!=|==|=/.exec(term)
    if (sign === null) return `invalid selector: '${selector}'; can't understand '${term}'`
    const value = term.slice(sign.index + sign[0].length)
    const bad = /\\(?![\\,=])|[=,]/.exec(value.replace(/\\[\\,=]/g, ''))
    if (bad !== null)
      return `invalid field selector: invalid ${bad[0] === '\\' ? 'escape sequence' : 'unescaped character'} in value: ${value}`
  }
  return null
}

const name = String.raw`(?:[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?`
const word = String.raw`([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?`
const requirement = new RegExp(
  String.raw`\s*(?:!\s*${name}|${name}\s*(?:(?:=|==|!=)\s*${word}|[<>]\s*-?\d+|\s(?:in|notin)\s*\(\s*${word}\s*(?:,\s*${word}\s*)*\))?)\s*(?:,|$)`,
  'y',
)

/** `a=b`, `a in (b,c)`, `!a`, `a>1`, joined by commas. @see k8s.io/apimachinery labels.Parse */
function labelSelectorProblem(selector: string): string | null {
  let at = 0
  while (at < selector.length) {
    requirement.lastIndex = at
    if (requirement.exec(selector) === null)
      return `unable to parse requirement: found '${selector.slice(at)}', expected: a label selector such as a=b`
    at = requirement.lastIndex
  }
  return selector.endsWith(',') ? `found '', expected: identifier after ','` : null
}
