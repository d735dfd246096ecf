package gemini

import (
	"strconv"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// generation is what an encoder must know of a model. It is read off the model's
// name; what is not known has the properties of the newest.
type generation struct {
	// version is ten times the number of the generation: 25 for gemini-2.5-pro.
	version   int
	pro, lite bool
}

// newest is the version of models whose name has none.
const newest = 1000

// generationOf reads the name of a model.
func generationOf(model string) generation {
	model = strings.ToLower(model)
	if i := strings.LastIndexByte(model, '/'); i >= 0 {
		model = model[i+1:]
	}
	g := generation{version: newest, pro: strings.Contains(model, "-pro"), lite: strings.Contains(model, "lite")}
	rest, ok := strings.CutPrefix(model, "gemini-")
	if !ok {
		return g
	}
	number, _, _ := strings.Cut(rest, "-")
	major, minor, _ := strings.Cut(number, ".")
	m, err := strconv.Atoi(major)
	if err != nil || m < 1 || m > 99 {
		return g
	}
	n, err := strconv.Atoi(minor)
	if err != nil || n < 0 || n > 9 {
		n = 0
	}
	g.version = m*10 + n
	return g
}

// levels says that the model's thinking has levels; it has a budget if not.
func (g generation) levels() bool { return g.version >= 30 }

// thinks says that the model can think at all.
func (g generation) thinks() bool { return g.version >= 25 }

// signs says that the model demands signatures of the calls of the current turn.
func (g generation) signs() bool { return g.version >= 30 }

// takesMedia says that results of functions may hold images.
func (g generation) takesMedia() bool { return g.version >= 30 }

// fixed says that the model refuses or ignores sampling parameters, and refuses
// a conversation that ends with an answer. A name without a version is given the
// benefit of the doubt.
func (g generation) fixed() bool {
	return g.version != newest && (g.version >= 36 || g.version == 35 && g.lite)
}

// efforts are the tokens of each effort (translation.md §7.2).
var efforts = map[string]int64{
	"none": 0, "minimal": 512, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 32768, "max": 32768,
}

// budget returns the budget of a model that has one, moved into its range.
func (g generation) budget(n int64) int64 {
	switch {
	case n < 0:
		return -1
	case g.pro:
		return min(max(n, 128), 32768)
	case g.lite && n > 0:
		return min(max(n, 512), 24576)
	default:
		return min(n, 24576)
	}
}

// effortOf is the effort of a budget; empty if that is the model's to decide.
func effortOf(budget int64) string {
	switch {
	case budget < 0:
		return ""
	case budget == 0:
		return "none"
	case budget <= 1024:
		return "low"
	case budget <= 8192:
		return "medium"
	default:
		return "high"
	}
}

// level returns the thinkingLevel of an effort.
func (g generation) level(effort string) string {
	switch effort {
	case "none", "minimal":
		if g.pro {
			return "LOW"
		}
		return "MINIMAL"
	case "low":
		return "LOW"
	case "medium":
		if g.pro && g.version == 30 {
			return "HIGH"
		}
		return "MEDIUM"
	default:
		return "HIGH"
	}
}

// thinking writes how much the model is to think, and whether it shows it.
func (e *requestEncoder) thinking() {
	r := &e.r.Reasoning
	show := e.showsThoughts()
	effort := r.Effort
	budget, hasBudget := r.Budget.Int()
	if r.State == chat.ReasoningOff {
		effort, budget, hasBudget = "none", 0, true
	}
	asked := r.State != chat.ReasoningUnset
	switch {
	case !asked && !show:
		return
	case !e.model.thinks():
		e.drop("reasoning")
		return
	case !asked:
	case e.model.levels() && effort == "" && hasBudget:
		if effort = effortOf(budget); effort != "" {
			e.approximate("reasoning")
		}
	case !e.model.levels() && !hasBudget:
		budget = -1
		if n, ok := efforts[effort]; ok {
			budget = n
		}
		hasBudget = true
	}
	e.config("thinkingConfig")
	separator := byte('{')
	if asked && e.model.levels() && effort != "" {
		level := e.model.level(effort)
		if !strings.EqualFold(level, effort) {
			e.approximate("reasoning")
		}
		e.b.Str(`{"thinkingLevel":"` + level + `"`)
		separator = ','
	}
	if asked && !e.model.levels() {
		n := e.model.budget(budget)
		if n != budget {
			e.lost(chat.Loss{Path: "reasoning", Reason: chat.Clamped})
		}
		e.b.Str(`{"thinkingBudget":`)
		e.b.Str(strconv.FormatInt(n, 10))
		separator = ','
	}
	if show {
		e.b.Byte(separator)
		e.b.Str(`"includeThoughts":true`)
		separator = ','
	}
	if separator == '{' {
		e.b.Byte('{')
	}
	e.b.Byte('}')
}

// showsThoughts says that the client wants to see what the model thinks. Clients
// of Chat and Messages that ask for reasoning do, those of Responses say so.
func (e *requestEncoder) showsThoughts() bool {
	r := &e.r.Reasoning
	switch {
	case r.State == chat.ReasoningOff || r.Effort == "none", r.Summary == "omitted":
		return false
	case r.Summary != "":
		return true
	default:
		return r.State == chat.ReasoningOn && e.r.Format != "openai_responses"
	}
}
