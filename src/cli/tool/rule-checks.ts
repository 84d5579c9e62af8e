// Rule files with PromQL and templates behind them: what src/config is not to know.
import type { RuleChecks } from '../../config/rule-files.ts'
import type { PromqlFeatures } from '../../promql/ast.ts'
import { parseExpr, printProblem } from '../../promql/parse.ts'
import { isPlain, parseAlertTemplate } from '../../template/alert-template.ts'

/** The checks to give to loadRuleFiles. */
export function ruleChecks(features: PromqlFeatures): Pick<RuleChecks, 'checkExpr' | 'checkTemplate'> {
  return {
    checkExpr(expr) {
      const { problems } = parseExpr(expr, features)
      return problems.length === 0 ? null : printProblem(expr, problems[0]!)
    },
    checkTemplate(template, alert) {
      if (isPlain(template)) return null
      const parsed = parseAlertTemplate(alert, template)
      return parsed.kind === 'ok' ? null : parsed.message
    },
  }
}
