package wallet

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/billetcloud/billet/internal/money"
)

// divideTags turns rows by lists of tags into rows by tag. Without a key, a row counts for each of
// its tags.
func divideTags(rows []usageRow, key string) ([]usageRow, error) {
	out := make([]usageRow, 0, len(rows))
	for _, row := range rows {
		var tags []string
		if row.Key != "" {
			if err := json.Unmarshal([]byte(row.Key), &tags); err != nil {
				return nil, fmt.Errorf("read tags: %w", err)
			}
		}
		if key != "" {
			tags = slices.DeleteFunc(tags, func(t string) bool { return !hasKey(t, key) })
			slices.Sort(tags)
			tags = tags[:min(1, len(tags))]
		}
		if len(tags) == 0 {
			tags = []string{""}
		}
		for _, t := range tags {
			row.Key = t
			out = append(out, row)
		}
	}
	return out, nil
}

// hasKey reports whether a tag is "key:value" or "key=value".
func hasKey(tag, key string) bool {
	rest, found := strings.CutPrefix(tag, key)
	return found && (strings.HasPrefix(rest, ":") || strings.HasPrefix(rest, "="))
}

// addGroups adds up the rows of each group: days in order, others the highest cost first.
func addGroups(rows []usageRow, by GroupBy) []UsageGroup {
	groups := []UsageGroup{}
	place := make(map[string]int, len(rows))
	for _, row := range rows {
		i, found := place[row.Key]
		if !found {
			i = len(groups)
			place[row.Key] = i
			groups = append(groups, UsageGroup{Key: row.Key, Name: row.Name})
		}
		g := &groups[i]
		g.Cost += row.Cost
		if row.Name != nil && *row.Name > *g.Name { // the last one by the alphabet, as in a day
			g.Name = row.Name
		}
	}
	slices.SortFunc(groups, func(a, b UsageGroup) int {
		if by == ByDay {
			return strings.Compare(a.Key, b.Key)
		}
		return cmp.Or(cmp.Compare(b.Cost, a.Cost), strings.Compare(a.Key, b.Key))
	})
	return groups
}

// addDaily adds up the rows of each day and group, in the order of days and then of the groups.
func addDaily(rows []usageRow, groups []UsageGroup) []UsageDay {
	place := make(map[string]int, len(groups))
	for i, g := range groups {
		place[g.Key] = i
	}
	type cell struct {
		day   int64
		group int
	}
	costs := map[cell]money.Micros{}
	for _, row := range rows {
		costs[cell{row.day, place[row.Key]}] += row.Cost
	}
	cells := make([]cell, 0, len(costs))
	for c := range costs {
		cells = append(cells, c)
	}
	slices.SortFunc(cells, func(a, b cell) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.group, b.group))
	})
	days := make([]UsageDay, len(cells))
	for i, c := range cells {
		days[i] = UsageDay{Day(strconv.FormatInt(c.day, 10)), groups[c.group].Key, costs[c]}
	}
	return days
}
