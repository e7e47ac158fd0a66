# Hashes, arrays, strings and patterns; prints a checksum. usage: perl text.pl [rounds]
use strict;
use warnings;

my $rounds = $ARGV[0] // 3;
my $state = 42;

sub chance {
    $state = ($state * 1103515245 + 12345) & 0x7fffffff;
    return ($state >> 8) % $_[0];
}

my ($sum, @kept) = (0);
for my $round (1 .. $rounds) {
    my (%count, @lines);
    for (1 .. 25000) {
        my $word = chr(97 + chance(26)) x (1 + chance(30)) . chance(9000);
        $count{$word}++;
        push @lines, "$word=" . join(",", map { chance(1000) } 1 .. chance(4) + 1);
    }
    my %parsed = map { my ($key, $values) = split /=/; ($key => [split /,/, $values]) } @lines;
    push @kept, \%parsed;
    shift @kept if @kept > 3;
    for my $key (sort keys %parsed) {
        $sum += scalar @{$parsed{$key}} * $count{$key};
    }
    (my $text = join " ", @lines) =~ s/([a-z]+)(\d+)/$2$1/g;
    $sum += length $text;
}
print "$sum\n";
