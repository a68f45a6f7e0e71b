package upstream_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

func TestOffers_ReturnsCopies(t *testing.T) {
	asked := 0
	list := upstream.NewList(clock.NewSimulated(0).Now, func(context.Context) ([]provider.Offer, error) {
		asked++
		return []provider.Offer{{Key: "a", OperatingSystems: []string{"one"}, Stock: new(3)}}, nil
	})
	for i, c := range []struct {
		age   time.Duration
		asked int
	}{{0, 1}, {time.Hour, 1}, {0, 2}} {
		offers, err := upstream.Offers(t.Context(), list, c.age)
		if err != nil || len(offers) != 1 || offers[0].Key != "a" || offers[0].OperatingSystems[0] != "one" ||
			*offers[0].Stock != 3 || asked != c.asked {
			t.Fatalf("%d: %+v, %v, asked %d times", i, offers, err, asked)
		}
		offers[0].Key, offers[0].OperatingSystems[0], *offers[0].Stock = "b", "other", 0
	}
}

func TestAccount_WithoutExcluded(t *testing.T) {
	a := upstream.Account{Exclude: []string{"hyperstack-*", "dallas-usa-5"}}
	var sold []string
	for _, o := range a.WithoutExcluded(
		[]provider.Offer{
			{Region: "hyperstack-canada-1"}, {Region: "hyper"}, {Region: "dallas-usa-5"}, {Region: "dallas-usa-55"},
			{Region: "denvr-x"},
		},
	) {
		sold = append(sold, o.Region)
	}
	if !slices.Equal(sold, []string{"hyper", "dallas-usa-55", "denvr-x"}) {
		t.Errorf("%q", sold)
	}
}
