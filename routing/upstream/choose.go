package upstream

import "math"

// ChooseCredential chooses the credential for a request among those that can be
// used and that admit admits; nil admits all. admit is asked at most once for
// each credential and must take nothing: it may be asked about several.
//
// With a sticky key the choice is that of a rendezvous hash by weight: the same
// key leads to the same credential while that is admitted, to the next in the
// key's own order while it is not, and back afterwards, on every node and after
// every restart. Without one the seed is the key, so that a random seed draws by
// weight. A credential of weight 0 is chosen only when no other is left.
//
// An upstream without credentials answers "", true. It allocates nothing and is
// safe for concurrent use.
func (u *Upstream) ChooseCredential(sticky string, seed uint64, admit func(id string) bool) (id string, ok bool) {
	if len(u.pool) == 0 {
		return "", true
	}
	key := seed
	if sticky != "" {
		key = hashOf(sticky)
	}
	var best, drained *pooled
	var bestScore, drainedScore float64
	for i := range u.pool {
		entry := &u.pool[i]
		if entry.Missing != "" || admit != nil && !admit(entry.ID) {
			continue
		}
		score := entry.score(key)
		switch {
		case entry.Weight == 0 && (drained == nil || score > drainedScore):
			drained, drainedScore = entry, score
		case entry.Weight > 0 && (best == nil || score > bestScore):
			best, bestScore = entry, score
		}
	}
	switch {
	case best != nil:
		return best.ID, true
	case drained != nil:
		return drained.ID, true
	default:
		return "", false
	}
}

// score is how high the credential ranks for a key. Over all keys it ranks
// highest for a share of them that is its share of the weights.
func (p *pooled) score(key uint64) float64 {
	// A number between 0 and 1, neither of them included.
	draw := (float64(mix(key^p.hash)>>11) + 0.5) / (1 << 53)
	return -float64(max(p.Weight, 1)) / math.Log(draw)
}

// hashOf hashes a text with FNV-1a, which is the same everywhere and for ever.
func hashOf(text string) uint64 {
	hash := uint64(14695981039346656037)
	for i := range len(text) {
		hash = (hash ^ uint64(text[i])) * 1099511628211
	}
	return mix(hash)
}

// mix spreads what two numbers differ in over all their bits (the end of
// splitmix64).
func mix(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}
