// Changes to the matchers of every selector in a tree: `promtool promql label-matchers set | delete`, tenants' enforced labels.

import type { Matcher } from '../model/matcher.ts'
import type { Expr, VectorSelector } from './ast.ts'

/** Sets one matcher in every selector: those of its label are replaced, where there is none it is added. */
export function setMatcher(expr: Expr, matcher: Matcher): Expr {
  return mapSelectors(expr, (selector) => {
    const had = selector.matchers.some(({ name }) => name === matcher.name)
    const matchers = had ? selector.matchers.map((m) => (m.name === matcher.name ? matcher : m)) : [...selector.matchers, matcher]
    return { ...selector, matchers }
  })
}

/** Takes all matchers of a label away. */
export function deleteMatchers(expr: Expr, label: string): Expr {
  return mapSelectors(expr, (selector) => ({ ...selector, matchers: selector.matchers.filter(({ name }) => name !== label) }))
}

/** A copy of the tree with every selector replaced; what has none is shared. */
export function mapSelectors(expr: Expr, change: (selector: VectorSelector) => VectorSelector): Expr {
  switch (expr.kind) {
    case 'number':
    case 'string':
      return expr
    case 'selector':
      return change(expr)
    case 'matrix':
      return { ...expr, selector: change(expr.selector) }
    case 'call':
      return { ...expr, args: expr.args.map((arg) => mapSelectors(arg, change)) }
    case 'binary':
      return { ...expr, left: mapSelectors(expr.left, change), right: mapSelectors(expr.right, change) }
    case 'aggregate': {
      const param = expr.param === null ? null : mapSelectors(expr.param, change)
      return { ...expr, param, expr: mapSelectors(expr.expr, change) }
    }
    case 'subquery':
    case 'unary':
    case 'paren':
      return { ...expr, expr: mapSelectors(expr.expr, change) }
  }
}

/** The matchers of every selector, in the order they are written. @see promql/parser ExtractSelectors */
export function selectorsOf(expr: Expr): (readonly Matcher[])[] {
  const found: (readonly Matcher[])[] = []
  mapSelectors(expr, (selector) => {
    found.push(selector.matchers)
    return selector
  })
  return found
}
