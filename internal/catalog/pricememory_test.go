package catalog_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
)

// withOwnPrices returns a catalog of so many offers, and so many accounts with their own markup.
func withOwnPrices(tb testing.TB, offers, accounts int) (r *rig, all []id.ID) {
	tb.Helper()
	c := clock.NewFrozen(dbtest.Start)
	s := &seller{slug: "voltage-park", offers: market(offers)}
	r = newRig(tb, dbtest.SQLite(tb, c), c, s)
	own := map[id.ID]int64{}
	for i := range accounts {
		account := id.ID(fmt.Sprintf("acc_%d", i))
		own[account], all = int64(i+1), append(all, account)
	}
	r.own = func() map[id.ID]int64 { return own }
	r.sync("voltage-park")
	return r, all
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// The memory for own prices is what is counted, give or take a third.
func TestOwnPricesTakeTheMemoryThatIsCounted(t *testing.T) {
	r, accounts := withOwnPrices(t, 2_000, 40)
	before := heap()
	for _, a := range accounts {
		r.cat.For(a)
	}
	taken := heap() - before
	lists, counted := r.cat.OwnPrices()
	t.Logf("%d lists of 2,000 offers take %d KB, counted are %d KB", lists, taken>>10, counted>>10)
	if lists != len(accounts) {
		t.Errorf("%d lists are kept, want all %d", lists, len(accounts))
	}
	if counted < taken*2/3 || counted > taken*3/2 {
		t.Errorf("%d bytes are taken, counted are %d", taken, counted)
	}
	runtime.KeepAlive(r)
}

// However many accounts have their own prices, the memory for them is bounded.
func TestMemoryOfOwnPricesIsBounded(t *testing.T) {
	r, accounts := withOwnPrices(t, 10_000, 60)
	for _, a := range accounts {
		r.cat.For(a)
	}
	lists, counted := r.cat.OwnPrices()
	t.Logf("%d lists of 10,000 offers are counted as %d KB", lists, counted>>10)
	if counted > catalog.MaxPriceBytes || lists == 0 || lists == len(accounts) {
		t.Errorf("%d lists with %d bytes are kept", lists, counted)
	}
}

func BenchmarkOwnPricesOf1000(b *testing.B) {
	r, accounts := withOwnPrices(b, 1_000, 100)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.cat.For(accounts[i%len(accounts)])
	}
}
