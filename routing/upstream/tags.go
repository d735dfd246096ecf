package upstream

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The limits of tags and of the interval of syncs.
const (
	maxTags = 32
	maxTag  = 64 // characters
	minSync = time.Second
	maxSync = 30 * 24 * time.Hour
)

// checkSync refuses intervals that make no sense.
func (u *Upstream) checkSync() error {
	every := time.Duration(u.Sync)
	if every != 0 && (every < minSync || every > maxSync) {
		return fmt.Errorf("sync: must be from %s to 30 days; 0 is never", minSync)
	}
	return nil
}

// checkTags refuses tags that nobody could read.
func checkTags(tags []string) error {
	if len(tags) > maxTags {
		return fmt.Errorf("tags: must be %d at most, not %d", maxTags, len(tags))
	}
	for i, tag := range tags {
		if err := checkTag(tag); err != nil {
			return fmt.Errorf("tags[%d]: %w", i, err)
		}
		if first := slices.Index(tags, tag); first != i {
			return fmt.Errorf("tags[%d]: %q stands twice, first as tags[%d]", i, tag, first)
		}
	}
	return nil
}

func checkTag(tag string) error {
	if n := utf8.RuneCountInString(tag); n == 0 || n > maxTag || !printable(tag) {
		return fmt.Errorf("must be 1 to %d printable characters", maxTag)
	}
	if strings.TrimSpace(tag) != tag {
		return errors.New("must not begin or end with a space")
	}
	return nil
}

// printable says that a text is valid UTF-8 and that every character of it can be
// seen, or is a plain space.
func printable(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
