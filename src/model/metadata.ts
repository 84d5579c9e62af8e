export type MetricType = 'counter' | 'gauge' | 'histogram' | 'gaugehistogram' | 'summary' | 'info' | 'stateset' | 'unknown'
export type Metadata = Readonly<{ type: MetricType; help: string; unit: string }>
