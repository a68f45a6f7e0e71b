package deployment

import (
	"encoding/json"
	"sync"

	"github.com/billetcloud/billet/internal/provider"
)

// maxDecoded is how many texts of a kind are remembered; a few megabytes in all.
const maxDecoded = 5000

// decoded remembers what the JSON texts of rows mean: lists show the same rows again and again, and to decode them takes
// longer than to read them from the database. Values are shared, so nobody changes what a slice of one holds.
type decoded[T any] struct {
	mu    sync.Mutex
	known map[string]T
}

func (d *decoded[T]) of(text string) (T, error) {
	d.mu.Lock()
	v, found := d.known[text]
	d.mu.Unlock()
	if found {
		return v, nil
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return v, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil || len(d.known) >= maxDecoded {
		d.known = map[string]T{}
	}
	d.known[text] = v
	return v, nil
}

// What the columns with JSON hold.
var (
	someAbilities decoded[provider.Abilities]
	someKeys      decoded[[]authorizedKey]
	someSteps     decoded[[]Step]
	someHostKeys  decoded[[]string]
	somePlans     decoded[[]plan]
	someAttempts  decoded[[]Attempt]
)

// decode sets what the row keeps as JSON.
func (r *row) decode(abilities, keys, steps, hostKeys, plans, attempts string) (err error) {
	if r.plans, err = somePlans.of(plans); err != nil {
		return err
	}
	if r.Attempts, err = someAttempts.of(attempts); err != nil {
		return err
	}
	if r.Abilities, err = someAbilities.of(abilities); err != nil {
		return err
	}
	if r.keys, err = someKeys.of(keys); err != nil {
		return err
	}
	if r.Steps, err = someSteps.of(steps); err != nil {
		return err
	}
	r.hostKeys, err = someHostKeys.of(hostKeys)
	return err
}
