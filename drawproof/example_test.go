package drawproof_test

import (
	"fmt"
	"os"

	"qunbot/drawproof"
)

func ExampleRecord_Verify() {
	file, err := os.Open("testdata/small.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	record, err := drawproof.Decode(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(record.Verify())
	record.Entries[1].Pseudonym = record.Entries[0].Pseudonym
	fmt.Println(record.Verify())
	// Output:
	// <nil>
	// 第 1 位和第 2 位报名者是同一个代号
}
