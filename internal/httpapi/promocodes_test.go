package httpapi

import (
	"fmt"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/money"
)

func TestPromoCodes(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		w := newWorldOn(t, d, c)
		w.configure(func(c *Config) { c.Limiter = allowAll{} })
		key, all, redeem := w.operator(), OperatorBase+"/promo-codes", Base+"/wallet/promo-codes"
		ada, bob, before := w.payer(w.ada), w.payer(w.bob), w.balance(w.ada)
		made := w.want(201, key, "POST", all, map[string]any{
			"code": "welcome-50", "amount": 50, "maxRedemptions": 1, "creditDays": 90,
		}).data.(map[string]any)
		same(t, "code", made["code"], "WELCOME-50")
		w.refused("CONFLICT", key, "POST", all, map[string]any{"code": "Welcome-50", "amount": 5})
		w.refused("INSUFFICIENT_SCOPE", w.ada, "POST", all, map[string]any{"amount": 5})

		given := w.want(201, ada, "POST", redeem, map[string]any{"code": "Welcome-50"}).data.(map[string]any)
		same(t, "source", given["source"], "promo_code")
		same(t, "balance", w.balance(w.ada)-before, money.Dollars(50))
		w.refused("CONFLICT", ada, "POST", redeem, map[string]any{"code": "welcome-50"})
		w.refused("NOT_FOUND", bob, "POST", redeem, map[string]any{"code": "welcome-50"}) // used up

		one := all + "/" + made["id"].(string)
		same(t, "redemptions", len(w.want(200, key, "GET", one+"/redemptions", nil).list), 1)
		w.refused("CONFLICT", key, "DELETE", one, nil)
		changed := w.want(200, key, "PATCH", one, map[string]any{"maxRedemptions": nil, "enabled": false})
		same(t, "maximum", changed.data.(map[string]any)["maxRedemptions"], nil)
		same(t, "listed", len(w.want(200, key, "GET", all, nil).list), 1)

		// Wrong codes are counted, right ones are not.
		for i := range 9 {
			w.refused("NOT_FOUND", bob, "POST", redeem, map[string]any{"code": fmt.Sprint("GUESS", i)})
		}
		w.refused("RATE_LIMIT_EXCEEDED", bob, "POST", redeem, map[string]any{"code": "GUESS9"})
	})
}
