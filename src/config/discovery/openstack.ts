// openstack_sd_configs (FEATURES 2.15). Source: prometheus discovery/openstack.
import type { OpenstackDiscovery } from '../../discovery/options.ts'
import { quote } from '../../model/labels.ts'
import { tlsConfig, toTlsOptions } from '../http-client.ts'
import { always, bool, duration, field, int, oneOf, secret, text } from '../schema.ts'
import { discoverySection, options } from './kind.ts'

const role = oneOf(['hypervisor', 'instance', 'loadbalancer'], (name) => `unknown OpenStack SD role ${quote(name)}`)

export const openstackDiscovery = discoverySection(
  'openstack',
  'openstack.plain',
  {
    identity_endpoint: always(text()),
    username: always(text()),
    userid: always(text()),
    password: always(secret()),
    project_name: always(text()),
    project_id: always(text()),
    domain_name: always(text()),
    domain_id: always(text()),
    application_credential_name: always(text()),
    application_credential_id: always(text()),
    application_credential_secret: always(secret()),
    role: always(role),
    region: always(text()),
    refresh_interval: always(duration(), 60_000),
    port: always(int(), 80),
    all_tenants: field(bool()),
    tls_config: field(tlsConfig),
    availability: field(text(), 'public'),
  },
  (value, report) => {
    if (!['public', 'internal', 'admin'].includes(value.availability)) {
      report('availability', `unknown availability ${value.availability}, must be one of admin, internal or public`)
    }
    if (value.role === '') report('role', 'role missing (one of: instance, hypervisor, loadbalancer)')
    if (value.region === '') report('region', 'openstack SD configuration requires a region')
  },
  (value) => ({
    kind: 'openstack',
    ...options(value),
    tls: tlsConfig.isZero(value.tls_config) ? null : toTlsOptions(value.tls_config),
    role: value.role as OpenstackDiscovery['role'],
    availability: value.availability as OpenstackDiscovery['availability'],
  }),
)
