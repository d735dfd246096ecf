package litellm

import "math"

// mostWeight is the largest weight of a source.
const mostWeight = 1000

// weightsOf are the weights of the entries of one tier. Like LiteLLM it goes by the
// first of weight, rpm and tpm that the first entry has, and an entry without it has
// weight 0. Limits are shares only where requests are shared at random.
func (c *converter) weightsOf(tier []*deployment) []int {
	limits := len(tier) > 1 && c.atRandom()
	for _, by := range []string{"weight", "rpm", "tpm"} {
		if !tier[0].params.get(by).there() || by != "weight" && !limits {
			continue
		}
		shares := make([]float64, len(tier))
		for i, d := range tier {
			f := d.params.get(by)
			n, ok := f.number()
			switch {
			case !f.there():
			case !ok || n < 0:
				c.name(f, "is no number from 0; the source has weight 0")
			case by == "weight":
				shares[i] = n
				c.take(f)
			default:
				shares[i] = n
				c.name(f, "only the share of the requests is kept, as weight: the gateway counts no %s, and goes elsewhere when the upstream answers 429",
					map[string]string{"rpm": "requests per minute", "tpm": "tokens per minute"}[by])
			}
		}
		return scaled(shares)
	}
	equal := make([]int, len(tier))
	for i := range equal {
		equal[i] = 1
	}
	return equal
}

// atRandom says whether LiteLLM draws the deployment, which is its default.
func (c *converter) atRandom() bool {
	strategy := c.root.get("router_settings").get("routing_strategy").text()
	return strategy == "" || policies[strategy] == "weighted"
}

// scaled makes whole numbers from 0 to 1000 of shares, the smallest that keep them:
// exactly if that is possible.
func scaled(shares []float64) []int {
	most := 0.0
	for _, s := range shares {
		most = max(most, s)
	}
	weights := make([]int, len(shares))
	if most == 0 {
		return weights
	}
	for _, factor := range []float64{1, 10, 100, 1000} {
		if exact(shares, factor) {
			if divisor := commonDivisor(shares, factor); most*factor/divisor <= mostWeight {
				for i, s := range shares {
					weights[i] = int(math.Round(s * factor / divisor))
				}
				return weights
			}
		}
	}
	for i, s := range shares {
		weights[i] = int(math.Round(s / most * mostWeight))
		if s > 0 {
			weights[i] = max(weights[i], 1)
		}
	}
	return weights
}

// exact says whether shares times the factor are whole.
func exact(shares []float64, factor float64) bool {
	for _, s := range shares {
		if n := s * factor; n > 1e15 || math.Abs(n-math.Round(n)) > 1e-9*max(n, 1) {
			return false
		}
	}
	return true
}

// commonDivisor is the largest number that divides all shares times the factor, or 1
// where they are small enough to stay as the file has them.
func commonDivisor(shares []float64, factor float64) float64 {
	divisor, small := int64(0), factor == 1
	for _, s := range shares {
		n := int64(math.Round(s * factor))
		small = small && n <= mostWeight
		for a, b := divisor, n; ; a, b = b, a%b {
			if b == 0 {
				divisor = a
				break
			}
		}
	}
	if small {
		return 1
	}
	return float64(max(divisor, 1))
}
