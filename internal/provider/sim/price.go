package sim

import (
	"hash/fnv"
	"time"

	"github.com/billetcloud/billet/internal/money"
)

// The price of an offer is its base price, moved by up to slowMove for half a day at a time and by
// up to fastMove for an hour at a time, both in hundredths of a percent: together never more than
// four percent.
const (
	slowMove, slowHours = 250, 12
	fastMove            = 150
)

const microsOfACent = int64(money.USD / 100)

// hourOf counts hours, so that everything that changes on the hour can be made of its number.
func hourOf(at time.Time) int64 { return at.Unix() / money.HourSeconds }

// centsPerGPU returns the price of a GPU for an hour, in whole cents. The division cuts towards
// zero, so a price never leaves its four percent by rounding.
func centsPerGPU(seed uint64, slug string, o *offer, at time.Time) int64 {
	hour, name := hourOf(at), slug+"/"+o.Key
	move := within(
		mix(seed, "price by half-day", name, hour/slowHours),
		slowMove,
	) + within(
		mix(seed, "price by hour", name, hour),
		fastMove,
	)
	return o.CentsPerGPUHour + o.CentsPerGPUHour*move/10_000
}

// hourlyPrice returns the price of the whole offer for an hour.
func hourlyPrice(seed uint64, slug string, o *offer, at time.Time) money.Micros {
	return money.Micros(centsPerGPU(seed, slug, o, at) * microsOfACent).Times(int64(o.GPUCount))
}

// elsewhere returns how many machines of the offer other customers have in that hour.
func elsewhere(seed uint64, slug string, o *offer, at time.Time) int {
	return int(mix(seed, "stock", slug+"/"+o.Key, hourOf(at)) % uint64(o.Wobble+1))
}

// within maps a random number to −most…most.
func within(random uint64, most int64) int64 { return int64(random%uint64(2*most+1)) - most }

// mix returns a number that appears random and depends on the arguments alone, on every computer.
func mix(seed uint64, purpose, name string, n int64) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(purpose + "\x00" + name))
	x := h.Sum64() ^ seed*0x9e3779b97f4a7c15 ^ uint64(n)*0xd1b54a32d192ed03
	// FNV alone leaves neighboring names with neighboring numbers; these steps spread every bit
	// over all.
	for range 2 {
		x ^= x >> 31
		x *= 0xbf58476d1ce4e5b9
		x ^= x >> 29
		x *= 0x94d049bb133111eb
	}
	return x ^ x>>32
}
