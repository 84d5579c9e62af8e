// azure_sd_configs (FEATURES 2.14). Source: prometheus discovery/azure.
import type { AzureDiscovery } from '../../discovery/options.ts'
import { quote } from '../../model/labels.ts'
import { always, duration, field, int, secret, text } from '../schema.ts'
import { checkHttpClient, discoverySection, optionsWithHttp, withHttp } from './kind.ts'

const methods = ['OAuth', 'ManagedIdentity', 'SDK', 'WorkloadIdentity']

export const azureDiscovery = discoverySection(
  'azure',
  'azure.plain',
  withHttp(
    {
      environment: field(text(), 'AzurePublicCloud'),
      port: always(int(), 80),
      subscription_id: always(text()),
      tenant_id: field(text()),
      client_id: field(text()),
      client_secret: field(secret()),
      refresh_interval: field(duration(), 300_000),
      authentication_method: field(text(), 'OAuth'),
      resource_group: field(text()),
    },
    {},
  ),
  (value, report) => {
    const require = (key: 'subscription_id' | 'tenant_id' | 'client_id' | 'client_secret'): void => {
      if (String(value[key]) === '') report(key, `azure SD configuration requires a ${key}`)
    }
    require('subscription_id')
    if (value.authentication_method === 'OAuth') {
      require('tenant_id')
      require('client_id')
      require('client_secret')
    }
    if (!methods.includes(value.authentication_method)) {
      report(
        'authentication_method',
        `unknown authentication_type ${quote(value.authentication_method)}. Supported types are "OAuth", "ManagedIdentity", "SDK" or "WorkloadIdentity"`,
      )
    }
    return checkHttpClient(value, report)
  },
  (value) => ({
    kind: 'azure',
    ...optionsWithHttp(value),
    authenticationMethod: value.authentication_method as AzureDiscovery['authenticationMethod'],
  }),
)
