package capability

// effortOrder are the efforts by name, the least first.
var effortOrder = []struct {
	name   string
	effort Efforts
}{
	{"none", None}, {"minimal", Minimal}, {"low", Low}, {"medium", Medium}, {"high", High}, {"xhigh", XHigh}, {"max", Max},
}

// effortNames are the names of all efforts, the least first.
func effortNames() []string {
	names := make([]string, len(effortOrder))
	for i := range effortOrder {
		names[i] = effortOrder[i].name
	}
	return names
}

// EffortNamed returns the effort with a name, as it stands in requests.
func EffortNamed(name string) (e Efforts, ok bool) {
	for i := range effortOrder {
		if effortOrder[i].name == name {
			return effortOrder[i].effort, true
		}
	}
	return 0, false
}

// Nearest returns the name of the effort in the set that is nearest to the named
// one; of two that are as near, the lesser. An empty set, which is not known,
// has every effort. ok is false for a name that is no effort.
func (s Efforts) Nearest(name string) (nearest string, ok bool) {
	wanted := -1
	for i := range effortOrder {
		if effortOrder[i].name == name {
			wanted = i
		}
	}
	if wanted < 0 {
		return "", false
	}
	if s == 0 {
		return name, true
	}
	for distance := range effortOrder {
		for _, i := range [...]int{wanted - distance, wanted + distance} {
			if i >= 0 && i < len(effortOrder) && s&effortOrder[i].effort != 0 {
				return effortOrder[i].name, true
			}
		}
	}
	return "", false // The set holds no known effort.
}

// HighBudget is the largest budget of thinking, in tokens, of the step high.
const HighBudget = 24576

// EffortOf returns the effort that a budget of thinking, in tokens, amounts to; ""
// if a negative one leaves it to the model. The steps are those of Google's
// OpenAI-compatible endpoint, of which high is the last.
func EffortOf(budget int64) string {
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
