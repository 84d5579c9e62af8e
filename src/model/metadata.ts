/** In the order protobuf messages number them. */
export const metricTypes = ['unknown', 'counter', 'gauge', 'histogram', 'gaugehistogram', 'summary', 'info', 'stateset'] as const
export type MetricType = (typeof metricTypes)[number]
export type Metadata = Readonly<{ type: MetricType; help: string; unit: string }>
