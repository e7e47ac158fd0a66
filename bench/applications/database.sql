-- A database in memory: rows, indices, text, aggregates, updates and deletions. The parameter :rows is set outside.
create table item(id integer primary key, name text, class integer, price real, note blob);
with recursive n(i) as (select 1 union all select i + 1 from n where i < :rows)
insert into item select i, 'item ' || ((i * 2654435761) % 1000003), (i * 40503) % 997, (i * 7919 % 10007) / 100.0,
    zeroblob(i % 300) from n;
create index item_name on item(name);
create index item_class on item(class, price);
create table class as select class, count(*) as items, sum(price) as worth, group_concat(name, ',') as names
    from item group by class;
select count(*), sum(items), round(sum(worth), 2), sum(length(names)) from class;
select count(*) from item a join item b on a.class = b.class and a.price < b.price where a.class < 30;
update item set name = upper(name) || '!' where class % 3 = 0;
delete from item where class % 5 = 1;
select count(*), min(name), max(name), sum(length(note)) from item;
select name, price from item order by price desc, name limit 5;
with recursive parts(rest, part) as (
    select names || ',', '' from class where class < 20
    union all select substr(rest, instr(rest, ',') + 1), substr(rest, 1, instr(rest, ',') - 1) from parts
        where rest <> '')
select count(distinct part), sum(length(part)) from parts where part <> '';
