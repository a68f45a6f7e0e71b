package deployment

import (
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/step"
)

// What the columns with JSON hold.
var (
	someAbilities db.Decoded[provider.Capabilities]
	someKeys      db.Decoded[[]authorizedKey]
	someSteps     db.Decoded[[]step.Step]
	someHostKeys  db.Decoded[[]string]
	somePlans     db.Decoded[[]plan]
	someAttempts  db.Decoded[[]Attempt]
)

// decode sets what the row keeps as JSON.
func (r *row) decode(capabilities, keys, steps, hostKeys, plans, attempts string) (err error) {
	if r.plans, err = somePlans.Of(plans); err != nil {
		return err
	}
	if r.Attempts, err = someAttempts.Of(attempts); err != nil {
		return err
	}
	if r.Capabilities, err = someAbilities.Of(capabilities); err != nil {
		return err
	}
	if r.keys, err = someKeys.Of(keys); err != nil {
		return err
	}
	if r.Steps, err = someSteps.Of(steps); err != nil {
		return err
	}
	r.hostKeys, err = someHostKeys.Of(hostKeys)
	return err
}
